import { wipe } from '../base/wipe.ts';

/** Reads pieces one after the other, as many bytes as are asked for, and wipes each piece when all of it was read. */
export class ByteStream {
  readonly #pieces: AsyncIterator<Uint8Array>;
  #piece: Uint8Array = new Uint8Array(0);
  #used = 0;
  #isEnded = false;
  #offset = 0;

  constructor(pieces: AsyncIterable<Uint8Array>) {
    this.#pieces = pieces[Symbol.asyncIterator]();
  }

  /** How many bytes were read. */
  get offset(): number {
    return this.#offset;
  }

  /** Fills `into`, or as much of it as there is before the end. @returns how many bytes */
  async read(into: Uint8Array): Promise<number> {
    let done = 0;
    while (done < into.length && (await this.#hasMore())) {
      const count = Math.min(into.length - done, this.#piece.length - this.#used);
      into.set(this.#piece.subarray(this.#used, this.#used + count), done);
      this.#used += count;
      done += count;
    }
    this.#offset += done;
    return done;
  }

  /** Wipes what was not read, and ends the source. */
  async close(): Promise<void> {
    wipe(this.#piece);
    this.#isEnded = true;
    await this.#pieces.return?.();
  }

  async #hasMore(): Promise<boolean> {
    while (this.#used === this.#piece.length && !this.#isEnded) {
      wipe(this.#piece);
      const next = await this.#pieces.next();
      if (next.done === true) this.#isEnded = true;
      this.#piece = next.done === true ? new Uint8Array(0) : next.value;
      this.#used = 0;
    }
    return !this.#isEnded;
  }
}
