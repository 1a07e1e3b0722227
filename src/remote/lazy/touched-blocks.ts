/** Which blocks were read, in the order in which they were read first. */
export class TouchedBlocks {
  /** By block: one bit. */
  readonly #isTouched: Uint8Array;
  /** It grows as blocks are read, so that a large image costs nothing. */
  #order = new Uint32Array(1024);
  #count = 0;

  /** @param count of blocks of the image */
  constructor(count: number) {
    this.#isTouched = new Uint8Array(Math.ceil(count / 8));
  }

  get count(): number {
    return this.#count;
  }

  add(block: number): void {
    const [at, bit] = [block >> 3, 1 << (block & 7)];
    const byte = this.#isTouched[at] ?? 0xff;
    if ((byte & bit) !== 0) return;
    this.#isTouched[at] = byte | bit;
    if (this.#count === this.#order.length) {
      const grown = new Uint32Array(2 * this.#count);
      grown.set(this.#order);
      this.#order = grown;
    }
    this.#order[this.#count++] = block;
  }

  /** Returns them in order. */
  inOrder(): Uint32Array {
    return this.#order.subarray(0, this.#count);
  }
}
