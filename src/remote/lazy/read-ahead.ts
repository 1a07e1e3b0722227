/** Readers that are told apart; the one that read least lately is forgotten for another one. */
const MAX_STREAMS = 16;
/** How many blocks are fetched ahead of a reader, for each that it read, and in all. */
const AHEAD_OF_READ = 2;
const MAX_WINDOW = 256;
const MIN_WINDOW = 2;
/** What a reader that goes on is worth, in blocks that were fetched for others in vain; and how many those may be. */
const WORTH = 4;
const MAX_CREDIT = 16;
/** Threads that share the work of one reader come a little out of order. */
const DISORDER = 8;
/** Blocks of no pages that are passed over at a time: 1 GiB. A reader that comes after a larger hole begins anew. */
const MAX_PASSED = 4096;

/** Blocks from one to another, which is not among them. */
export interface BlockRange {
  readonly first: number;
  readonly end: number;
}

/** A reader that goes through blocks in ascending order. */
interface Stream {
  /** The last block that it read. */
  last: number;
  /** The first block that was not asked for on its behalf. */
  end: number;
  /** How many blocks it read. */
  count: number;
}

/** Decides which blocks are fetched before they are read. It sees blocks that are stored; others are passed over. */
export class ReadAhead {
  readonly #count: number;
  readonly #isStored: (block: number) => boolean;
  readonly #maxWindow: number;
  /** The one that read last comes last. */
  readonly #streams: Stream[] = [];
  /** Blocks that may be fetched with the first ones of readers. Where none goes on, as none does at random, it is 0. */
  #credit = MAX_CREDIT;

  /**
   * @param count of blocks of the image
   * @param isStored whether a block has pages, and so is ever asked for
   * @param room how many blocks may be fetched ahead of a reader, as far as the cache keeps them until they are read
   */
  constructor(count: number, isStored: (block: number) => boolean, room: number = MAX_WINDOW) {
    this.#count = count;
    this.#isStored = isStored;
    this.#maxWindow = Math.max(MIN_WINDOW, Math.min(MAX_WINDOW, Math.floor(room)));
  }

  /**
   * Notes that a block is read.
   * @returns the blocks to fetch now, all after it; undefined for none. Those that are not stored may be among them
   */
  read(block: number): BlockRange | undefined {
    const found = this.#streams.findIndex(({ last, end }) => block >= last - DISORDER && block <= end);
    if (found < 0) return this.#begin(block);
    const [stream] = this.#streams.splice(found, 1) as [Stream];
    this.#streams.push(stream);
    if (block <= stream.last) return undefined;
    stream.last = block;
    if (stream.count++ === 1) this.#credit = Math.min(MAX_CREDIT, this.#credit + WORTH);
    const window = Math.min(this.#maxWindow, AHEAD_OF_READ * stream.count);
    // The block itself is fetched by the one who wants it.
    if (block === stream.end) stream.end = this.#after(block, 1);
    return this.#after(block, window / 2 + 1) >= stream.end ? this.#extend(stream, window) : undefined;
  }

  #begin(block: number): BlockRange | undefined {
    if (this.#streams.length === MAX_STREAMS) this.#streams.shift();
    const stream = { last: block, end: this.#after(block, 1), count: 1 };
    this.#streams.push(stream);
    if (this.#credit === 0) return undefined;
    this.#credit--;
    return this.#extend(stream, 1);
  }

  /** Asks for blocks until so many after the last one that was read are asked for. */
  #extend(stream: Stream, count: number): BlockRange | undefined {
    const first = stream.end;
    stream.end = Math.max(first, this.#after(stream.last, count + 1));
    return stream.end > first ? { first, end: stream.end } : undefined;
  }

  /**
   * Returns the stored block that is so many stored blocks after another one. Where there is none, that is the end of
   * the image; where it comes after a large hole, a block in that.
   */
  #after(block: number, steps: number): number {
    const end = Math.min(this.#count, block + steps + MAX_PASSED);
    let at = block;
    for (let step = 0; step < steps && at < end; step++) {
      do at++;
      while (at < end && !this.#isStored(at));
    }
    return at;
  }
}
