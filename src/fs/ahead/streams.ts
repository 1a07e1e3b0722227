import { BLOCK_SIZE, STREAM_NUMBERS, STREAM_WORDS, STREAMS } from './layout.ts';

const NO_FILE = 0;
/** Blocks that a stream is ahead at first. Each read that follows doubles that, to the most. */
const FIRST_WINDOW = 8;
const MAX_WINDOW = 32;

/**
 * The table of streams: readers of files that go forward. Several may read one file. A stream has a *place*, where its
 * next read is expected; a *window*, the blocks ahead of the place that it wants; and a *front*, the first block that
 * no thread was told to fill for it. Only who holds the lock may call anything here.
 */
export class Streams {
  readonly #words: Int32Array;
  readonly #numbers: Float64Array;

  constructor(words: Int32Array, numbers: Float64Array) {
    this.#words = words;
    this.#numbers = numbers;
  }

  isActive(stream: number): boolean {
    return this.#word(stream, STREAM_WORDS.file) !== NO_FILE;
  }

  hasAny(): boolean {
    for (let stream = 0; stream < STREAMS; stream++) if (this.isActive(stream)) return true;
    return false;
  }

  file(stream: number): number {
    return this.#word(stream, STREAM_WORDS.file) - 1;
  }

  /** The block of the stream's place. */
  block(stream: number): number {
    return Math.floor(this.#number(stream, STREAM_NUMBERS.next) / BLOCK_SIZE);
  }

  front(stream: number): number {
    return this.#number(stream, STREAM_NUMBERS.fill);
  }

  setFront(stream: number, block: number): void {
    this.#numbers[numbersOf(stream) + STREAM_NUMBERS.fill] = block;
  }

  /** The first block after the window. */
  end(stream: number): number {
    return this.block(stream) + this.#word(stream, STREAM_WORDS.window);
  }

  /** How far ahead of a stream's place a block is; infinitely far when the stream does not want it. */
  distance(stream: number, file: number, block: number): number {
    if (!this.isActive(stream) || this.file(stream) !== file) return Number.POSITIVE_INFINITY;
    const ahead = block - this.block(stream);
    const isWanted = ahead >= 0 && (block < this.end(stream) || block < this.front(stream));
    return isWanted ? ahead : Number.POSITIVE_INFINITY;
  }

  /** How far ahead of the nearest place a block is; infinitely far when no stream wants it. */
  nearest(file: number, block: number): number {
    let found = Number.POSITIVE_INFINITY;
    for (let stream = 0; stream < STREAMS; stream++) {
      found = Math.min(found, this.distance(stream, file, block));
    }
    return found;
  }

  /**
   * Finds the stream that a read at an offset of a file continues: one whose place that is, or else one that jumps
   * forward to it over blocks of its own. Returns -1 when there is none.
   */
  find(file: number, offset: number): number {
    let found = -1;
    for (let stream = 0; stream < STREAMS; stream++) {
      if (!this.isActive(stream) || this.file(stream) !== file) continue;
      const next = this.#number(stream, STREAM_NUMBERS.next);
      if (next === offset) return stream;
      if (next < offset && offset < this.front(stream) * BLOCK_SIZE) found = stream;
    }
    return found;
  }

  /**
   * Begins a stream, in place of the one that was used least recently where there is no room.
   * @param isSure whether it is a stream: otherwise nothing is filled before the next read continues it
   */
  begin(file: number, use: number, isSure: boolean): number {
    let oldest = 0;
    for (let stream = 0; stream < STREAMS; stream++) {
      if (!this.isActive(stream)) {
        oldest = stream;
        break;
      }
      // Differences, because the count of uses may have begun anew at the lowest number.
      if (((use - this.#word(stream, STREAM_WORDS.use)) | 0) > ((use - this.#word(oldest, STREAM_WORDS.use)) | 0)) {
        oldest = stream;
      }
    }
    this.#words[wordsOf(oldest) + STREAM_WORDS.file] = file + 1;
    this.#words[wordsOf(oldest) + STREAM_WORDS.window] = isSure ? FIRST_WINDOW / 2 : 0;
    this.setFront(oldest, 0);
    return oldest;
  }

  /** Notes that a stream has read up to `end`. A stream that was begun as unsure must be told at its second read. */
  advance(stream: number, end: number, use: number): void {
    const window = this.#word(stream, STREAM_WORDS.window);
    this.#words[wordsOf(stream) + STREAM_WORDS.window] = Math.min(MAX_WINDOW, Math.max(FIRST_WINDOW, window * 2));
    this.place(stream, end, use);
  }

  /** Sets the place, and nothing else. */
  place(stream: number, end: number, use: number): void {
    this.#words[wordsOf(stream) + STREAM_WORDS.use] = use;
    this.#numbers[numbersOf(stream) + STREAM_NUMBERS.next] = end;
    this.setFront(stream, Math.max(this.front(stream), Math.ceil(end / BLOCK_SIZE)));
  }

  /** Takes the blocks from `block` on back from the fronts of all streams of a file, so that they are filled again. */
  retreat(file: number, block: number): void {
    for (let stream = 0; stream < STREAMS; stream++) {
      if (this.isActive(stream) && this.file(stream) === file && this.front(stream) > block) {
        this.setFront(stream, Math.max(block, this.block(stream)));
      }
    }
  }

  finish(stream: number): void {
    this.#words[wordsOf(stream) + STREAM_WORDS.file] = NO_FILE;
  }

  finishAll(file: number): void {
    for (let stream = 0; stream < STREAMS; stream++) if (this.file(stream) === file) this.finish(stream);
  }

  #word(stream: number, field: number): number {
    return this.#words[wordsOf(stream) + field] ?? 0;
  }

  #number(stream: number, field: number): number {
    return this.#numbers[numbersOf(stream) + field] ?? 0;
  }
}

function wordsOf(stream: number): number {
  return STREAM_WORDS.at + stream * STREAM_WORDS.width;
}

function numbersOf(stream: number): number {
  return STREAM_NUMBERS.at + stream * STREAM_NUMBERS.width;
}
