const PAGE_SIZE = 4096;
const MAP_SIZE = 8;
const PAGES = 64;
const NOT_STORED = 255;

/** A packed block (docs/remote.md, Layout), of which any range can be copied out. */
export class PackedBlock {
  readonly #packed: Uint8Array;
  /** By page: which of the stored pages it is, {@link NOT_STORED} for one of zeros. */
  readonly #stored: Uint8Array;

  private constructor(packed: Uint8Array, stored: Uint8Array) {
    this.#packed = packed;
    this.#stored = stored;
  }

  /**
   * Reads the map of a block, which is hostile. What is in its pages is not looked at.
   * @param packed is kept
   * @param length bytes of the block when it is unpacked: whole pages
   * @returns undefined unless the map tells as many pages as there are, each of them in the block
   */
  static from(packed: Uint8Array, length: number): PackedBlock | undefined {
    const stored = new Uint8Array(PAGES).fill(NOT_STORED);
    let count = 0;
    for (let page = 0; page < PAGES; page++) {
      if (((packed[page >> 3] ?? 0) & (1 << (page & 7))) === 0) continue;
      if ((page + 1) * PAGE_SIZE > length) return undefined;
      stored[page] = count++;
    }
    return packed.length === MAP_SIZE + count * PAGE_SIZE ? new PackedBlock(packed, stored) : undefined;
  }

  /** Its bytes, packed. */
  get packed(): Uint8Array {
    return this.#packed;
  }

  /** Copies `length` bytes of the block, from `start` on, into `to` at `toOffset`. */
  copy(to: Uint8Array, toOffset: number, start: number, length: number): void {
    for (let done = 0; done < length; ) {
      const page = Math.floor((start + done) / PAGE_SIZE);
      const within = (start + done) % PAGE_SIZE;
      const count = Math.min(PAGE_SIZE - within, length - done);
      const stored = this.#stored[page] ?? NOT_STORED;
      const out = toOffset + done;
      if (stored === NOT_STORED) {
        to.fill(0, out, out + count); // not secret: it is ciphertext
      } else {
        const from = MAP_SIZE + stored * PAGE_SIZE + within;
        to.set(this.#packed.subarray(from, from + count), out);
      }
      done += count;
    }
  }
}
