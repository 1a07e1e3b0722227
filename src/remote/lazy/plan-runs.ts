import type { BlockPlace, BlockTable } from '../../format/block-table.ts';
import type { BlockRange } from './read-ahead.ts';

/** Bytes that are asked for at once. */
const MAX_RUN_SIZE = 8_388_608;

/** A block of an image, by its number, and where it is stored. */
export interface StoredBlock extends BlockPlace {
  readonly block: number;
}

/** Blocks that follow each other in one packed part: one request. */
export interface Run {
  /** The number of a file of the index, and of one of its parts. */
  readonly file: number;
  readonly part: number;
  /** At least one. Between them there may be blocks of no pages, whose bytes come and are left out. */
  readonly blocks: readonly StoredBlock[];
  /** Where it begins and ends in the packed part, bytes. */
  readonly start: number;
  readonly end: number;
}

/**
 * Says which blocks are asked for together.
 * @param blocks in the order in which they are wanted
 */
export function* planRuns(blocks: Iterable<number>, table: Pick<BlockTable, 'pagesOf' | 'placeOf'>): Generator<Run> {
  let run: StoredBlock[] = [];
  let next = 0;
  for (const block of blocks) {
    // A block of no pages ends no run, and is not asked for. There may be millions of them, so no more is looked at.
    if (table.pagesOf(block) === 0) {
      if (block === next) next++;
      continue;
    }
    const place = { block, ...table.placeOf(block) };
    if (run.length > 0 && !(block === next && fits(run, place))) {
      yield runOf(run);
      run = [];
    }
    run.push(place);
    next = block + 1;
  }
  if (run.length > 0) yield runOf(run);
}

function fits([first]: readonly StoredBlock[], { file, part, offset, packedSize }: BlockPlace): boolean {
  const isSamePart = first?.file === file && first.part === part;
  return isSamePart && offset + packedSize - first.offset <= MAX_RUN_SIZE;
}

/** Makes a run of blocks that follow each other in one part. @throws RangeError for none */
export function runOf(blocks: readonly StoredBlock[]): Run {
  const [first, last] = [blocks[0], blocks.at(-1)];
  if (first === undefined || last === undefined) throw new RangeError('a run of no blocks');
  const { file, part, offset } = first;
  return { file, part, blocks, start: offset, end: last.offset + last.packedSize };
}

/** Returns the blocks of ranges, in their order. */
export function* blocksIn(...ranges: readonly BlockRange[]): Generator<number> {
  for (const { first, end } of ranges) for (let block = first; block < end; block++) yield block;
}
