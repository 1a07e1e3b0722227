import { isPlainError, type PlainError } from '../../base/errors.ts';

/**
 * What was heard of a key:
 * - `allowed`: it opens the image still.
 * - `revoked`: it may not be used any more: revoked, destroyed, denied, absent, or it opens no slot of the image now.
 * - `unreachable`: no answer came.
 */
export interface LeaseAnswer {
  readonly verdict: 'allowed' | 'revoked' | 'unreachable';
  /** When it was asked for, in seconds since the host was started. */
  readonly at: number;
  /** For how long the service lets the key be used from then on, if it says so. */
  readonly leaseSeconds?: number | undefined;
  /** What tells the image key that is `allowed` from others, where processes share the answer: see `keyMark`. */
  readonly mark?: string | undefined;
  /** Why it is not `allowed`. */
  readonly error?: PlainError | undefined;
  /** Whether another process of this host had asked. */
  readonly isShared?: boolean | undefined;
  /** Never ask again: each question might use up a try of a PIN. */
  readonly isLast?: boolean | undefined;
}

/** Returns whether a value from another process, or from a file, has the shape of an answer. */
export function isLeaseAnswer(value: unknown): value is LeaseAnswer {
  if (typeof value !== 'object' || value === null) return false;
  const { verdict, at, leaseSeconds, mark, error, isLast }: Partial<Record<keyof LeaseAnswer, unknown>> = value;
  return (
    (verdict === 'allowed' || ((verdict === 'revoked' || verdict === 'unreachable') && isPlainError(error))) &&
    Number.isFinite(at) &&
    (leaseSeconds === undefined || (Number.isFinite(leaseSeconds) && Number(leaseSeconds) > 0)) &&
    (mark === undefined || typeof mark === 'string') &&
    (isLast === undefined || typeof isLast === 'boolean')
  );
}

/**
 * Returns whether an answer that another process heard counts for an image key: it is newer, and that very key is
 * allowed, or it is heard of the way to open the image.
 * @param after in seconds since the host was started @param mark of `keyMark`
 */
export function countsFor(answer: LeaseAnswer, after: number, mark: string | undefined): boolean {
  return answer.at > after && (answer.verdict !== 'allowed' || answer.mark === mark);
}
