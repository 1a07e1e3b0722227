import { MalformedError } from '../base/bytes.ts';
import { Message } from './message.ts';
import { plainEntries } from './plain-entries.ts';

const HEAD = { pagesId: 1 } as const;
const RUN = { address: 1, pages32: 2, isInParent: 3, flags: 4, pages64: 5 } as const;
/** A flag of a run: its pages are in the file of pages of this directory. */
const IS_PRESENT = 4n;

/** Pages one after the other, in memory and in the file of pages alike. */
export interface PageRun {
  /** The address of the first; for shared memory its offset. */
  readonly address: bigint;
  readonly pages: number;
}

/** What a pagemap says of its file of pages, in the order of that file. */
export interface Pagemap {
  /** N of pages-N.img. */
  readonly pagesId: number;
  readonly runs: Iterable<PageRun>;
}

/**
 * Reads a pagemap. Its runs are read as they are asked for, and throw MalformedError too.
 * @param image plain bytes
 * @returns undefined for an image without entries, which an interrupted dump leaves
 * @throws MalformedError
 */
export function readPagemap(image: Uint8Array): Pagemap | undefined {
  const entries = plainEntries(image);
  const head = entries.next();
  if (head.done === true) return undefined;
  return { pagesId: new Message(head.value).count(HEAD.pagesId), runs: presentRuns(entries) };
}

function* presentRuns(entries: Iterable<Uint8Array>): Generator<PageRun> {
  for (const entry of entries) {
    const run = new Message(entry);
    const address = run.number(RUN.address);
    if (address === undefined) throw new MalformedError('a run of pages has no address');
    const pages = run.count(run.number(RUN.pages64) === undefined ? RUN.pages32 : RUN.pages64);
    if (isPresent(run)) yield { address, pages };
  }
}

/** Old versions of CRIU write only whether pages are in the parent. */
function isPresent(run: Message): boolean {
  const flags = run.number(RUN.flags);
  if (flags !== undefined) return (flags & IS_PRESENT) !== 0n;
  return (run.number(RUN.isInParent) ?? 0n) === 0n;
}
