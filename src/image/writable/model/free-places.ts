/** A run of chunks of one object. */
export interface ChunkRun {
  /** Index of the live object. */
  readonly object: number;
  readonly first: number;
  readonly count: number;
}

/** Places, chunks of objects, that nothing uses any more. */
export class FreePlaces {
  #runs: { object: number; first: number; count: number }[] = [];
  #count = 0;

  /** How many there are. */
  get count(): number {
    return this.#count;
  }

  /** Runs of them, in no order. */
  get runs(): readonly ChunkRun[] {
    return this.#runs;
  }

  add(object: number, chunk: number): void {
    this.#count++;
    const last = this.#runs.at(-1);
    if (last !== undefined && last.object === object && last.first + last.count === chunk) last.count++;
    else this.#runs.push({ object, first: chunk, count: 1 });
  }

  /** Moves all places of another set into this one. */
  addAll(other: FreePlaces): void {
    for (const run of other.#runs) this.#runs.push(run);
    this.#count += other.#count;
    other.#runs = [];
    other.#count = 0;
  }

  /** Empties the set and returns what it had: runs in ascending order of object and chunk, each as long as possible. */
  drain(): ChunkRun[] {
    const runs = this.#runs.sort((a, b) => a.object - b.object || a.first - b.first);
    this.#runs = [];
    this.#count = 0;
    const joined: { object: number; first: number; count: number }[] = [];
    for (const run of runs) {
      const last = joined.at(-1);
      if (last !== undefined && last.object === run.object && last.first + last.count === run.first) {
        last.count += run.count;
      } else joined.push(run);
    }
    return joined;
  }
}
