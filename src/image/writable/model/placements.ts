/**
 * The places of the chunks of one batch, in the order in which they were added. It is used again, so a batch allocates
 * nothing.
 */
export class Placements {
  #objects = new Uint32Array(256);
  #chunks = new Uint32Array(256);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** Returns the index of the object that a chunk of the batch was put into. */
  object(index: number): number {
    return this.#objects[index] as number;
  }

  /** Returns which chunk of its object a chunk of the batch became. */
  chunk(index: number): number {
    return this.#chunks[index] as number;
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
