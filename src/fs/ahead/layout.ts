/**
 * The memory that the threads of one mount share to read ahead: `state` says what is in `blocks`. Counts are few and
 * fixed, so that every search is short and nothing grows.
 */
export interface AheadMemory {
  readonly state: SharedArrayBuffer;
  readonly blocks: SharedArrayBuffer;
}

/** Bytes of one block: what a thread decrypts before it looks for the next request. */
export const BLOCK_SIZE = 1 << 18;
export const BLOCKS = 64;
/** Memory is taken for as many blocks at a time: for one huge page. */
export const BLOCKS_PER_GROUP = 8;
export const GROUPS = BLOCKS / BLOCKS_PER_GROUP;
export const GROUP_SIZE = BLOCK_SIZE * BLOCKS_PER_GROUP;

/** Files that are open for direct reads; others are read without blocks. */
export const FILES = 32;
export const STREAMS = 16;

/** The words at the beginning of `state`. */
export const Word = {
  lock: 0,
  /** 1 when there may be work, see `Ring.mayHaveWork`. */
  pending: 1,
  /** Rises with every planned read. */
  use: 2,
  /** How many groups, counted from the last, are never made, because the kernel locks no more memory. */
  refused: 3,
} as const;

/** Where the words of each table begin, and how many each row has. */
export const FILE_WORDS = { at: 16, opens: 0, width: 1 } as const;
export const STREAM_WORDS = { at: 64, file: 0, window: 1, use: 2, width: 4 } as const;
export const BLOCK_WORDS = { at: 192, state: 0, pins: 1, file: 2, width: 4 } as const;

/** The numbers, above 2^31 in large files, follow the words. */
export const WORD_COUNT = BLOCK_WORDS.at + BLOCKS * BLOCK_WORDS.width;
export const FILE_NUMBERS = { at: 0, node: 0, size: 1, end: 2, width: 4 } as const;
export const STREAM_NUMBERS = { at: 128, next: 0, fill: 1, width: 2 } as const;
export const BLOCK_NUMBERS = { at: 192, block: 0, width: 1 } as const;
const NUMBER_COUNT = BLOCK_NUMBERS.at + BLOCKS * BLOCK_NUMBERS.width;

/** Makes the memory. That of blocks costs nothing until a block is made. */
export function aheadMemory(): AheadMemory {
  const numbers = WORD_COUNT * Int32Array.BYTES_PER_ELEMENT;
  return {
    state: new SharedArrayBuffer(numbers + NUMBER_COUNT * Float64Array.BYTES_PER_ELEMENT),
    // One group more, so that the first can begin at a huge page.
    blocks: new SharedArrayBuffer((GROUPS + 1) * GROUP_SIZE),
  };
}
