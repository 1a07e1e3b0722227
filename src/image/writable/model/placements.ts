/** Where the chunks of one batch were put, in the order they were added. Used again and again, so that a batch allocates nothing. */
export class Placements {
  #objects = new Uint32Array(256);
  #chunks = new Uint32Array(256);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** Index of the live object. */
  object(at: number): number {
    return this.#objects[at] as number;
  }

  /** Chunk of the object. */
  chunk(at: number): number {
    return this.#chunks[at] as number;
  }

  reset(): void {
    this.#count = 0;
  }

  /** Forgets all but the first `count`. */
  cut(count: number): void {
    this.#count = count;
  }

  add(object: number, chunk: number): void {
    if (this.#count === this.#objects.length) {
      this.#objects = doubled(this.#objects);
      this.#chunks = doubled(this.#chunks);
    }
    this.#objects[this.#count] = object;
    this.#chunks[this.#count++] = chunk;
  }
}

function doubled(array: Uint32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(array.length * 2);
  larger.set(array);
  return larger;
}
