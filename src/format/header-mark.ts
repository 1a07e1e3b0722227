import { CkptfsError } from '../base/errors.ts';
import { isInstant } from './slot-description.ts';

/**
 * The member that says why a header has no key slots (format.md §4): they were destroyed, or there never were any.
 */
export type HeaderMark = 'shredded' | 'ephemeral';

const MARKS: readonly HeaderMark[] = ['shredded', 'ephemeral'];

interface MarkedHeader {
  readonly mark: HeaderMark;
  /** 32 hexadecimal digits. */
  readonly image: string;
  /** When it was shredded, or made: `YYYY-MM-DDThh:mm:ssZ`. */
  readonly time: string;
}

/** Returns whether a header has a mark, which may not be what it must be. */
export function isMarked(value: Readonly<Record<string, unknown>>): boolean {
  return MARKS.some((mark) => mark in value);
}

/** Reads a header with a mark. Returns undefined where a member is not what it must be. */
export function readMark(value: Readonly<Record<string, unknown>>): MarkedHeader | undefined {
  const mark = MARKS.find((one) => one in value);
  if (mark === undefined) return undefined;
  const { image, [mark]: time } = value;
  if (typeof image !== 'string' || !/^[0-9a-f]{32}$/.test(image)) return undefined;
  return typeof time === 'string' && isInstant(time) ? { mark, image, time } : undefined;
}

/** Returns why an image with a mark is refused: `not-an-image`, with the mark as the reason. */
export function refusalOf({ mark, image, time }: MarkedHeader): CkptfsError {
  const what =
    mark === 'shredded'
      ? `was shredded at ${time}: its key slots are gone`
      : `is ephemeral, made at ${time}: its key was never stored, so nothing opens it`;
  return new CkptfsError('not-an-image', `image ${image} ${what}`, { data: { reason: mark } });
}
