import { readFileSync, statSync } from 'node:fs';
import { CkptfsError, ioError } from '../../base/errors.ts';
import { MAX_PROFILE_SIZE, parseAccessProfile, runsFor } from '../../format/access-profile.ts';
import { type BlockTable, packedBlockSize } from '../../format/block-table.ts';
import { blocksIn } from './plan-runs.ts';

/**
 * Threads that share the work of one reader read a little out of order. So many blocks that were read one after the
 * other are fetched in the order of the image, in which those that follow each other come by one request.
 */
const DISORDER = 64;

/** Returns the blocks that an access profile lists, nearly in its order. @throws MalformedError */
export function blocksOfProfile(bytes: Buffer, index: string, count: number): Iterable<number> {
  const runs = runsFor(parseAccessProfile(bytes), index, count);
  return sortedByPieces(blocksIn(...runs.map(([first, length]) => ({ first, end: first + length }))));
}

function* sortedByPieces(blocks: Iterable<number>): Generator<number> {
  let piece: number[] = [];
  for (const block of blocks) {
    if (piece.push(block) < DISORDER) continue;
    yield* piece.sort((a, b) => a - b);
    piece = [];
  }
  yield* piece.sort((a, b) => a - b);
}

/** Reads an access profile that the user named. @throws CkptfsError `io`, `bad-argument` */
export function readProfileFile(path: string): Buffer {
  try {
    const status = statSync(path);
    if (status.isFile() && status.size <= MAX_PROFILE_SIZE) return readFileSync(path);
  } catch (cause) {
    throw ioError('read', path, cause);
  }
  throw new CkptfsError('bad-argument', `${path} is no regular file, or larger than an access profile may be`);
}

/** Returns blocks as far as they have no more than `size` bytes in all when they are packed. */
export function* within(size: number, blocks: Iterable<number>, table: Pick<BlockTable, 'pagesOf'>): Generator<number> {
  let left = size;
  for (const block of blocks) {
    left -= packedBlockSize(table.pagesOf(block));
    if (left < 0) return;
    yield block;
  }
}
