/** File chunks of one leaf. */
const LEAF_CHUNKS = 512;
/** Words of a chunk: object + 1 (0: the file holds nothing there), chunk of the object, holes. */
const WORDS = 3;

/** A run of file chunks that are in a run of chunks of one object. */
export interface PlacedRun {
  readonly fileChunk: number;
  readonly object: number;
  readonly objectChunk: number;
  readonly count: number;
}

/**
 * Maps each chunk of a file to its place, a chunk of an object, and to the sectors of it that are holes. It takes 12
 * bytes a chunk, and next to nothing for a small file or for one that is nearly all hole.
 */
export class ChunkMap {
  /** Leaves by number. Each is as long as its last chunk needs. */
  readonly #leaves = new Map<number, Uint32Array>();
  /** Place and holes of the chunk that was found last. */
  object = 0;
  objectChunk = 0;
  holes = 0;

  /** Looks a file chunk up. If it has a place, `object`, `objectChunk` and `holes` describe it until the next look. */
  find(chunk: number): boolean {
    const leaf = this.#leaves.get(Math.floor(chunk / LEAF_CHUNKS));
    return leaf !== undefined && this.#take(leaf, chunk % LEAF_CHUNKS);
  }

  set(chunk: number, object: number, objectChunk: number, holes: number): void {
    const leaf = this.#leafWith(Math.floor(chunk / LEAF_CHUNKS), chunk % LEAF_CHUNKS);
    const word = (chunk % LEAF_CHUNKS) * WORDS;
    leaf[word] = object + 1;
    leaf[word + 1] = objectChunk;
    leaf[word + 2] = holes;
  }

  /** Removes the chunks from `first` to before `end`. Calls back for each while it is the one found last. */
  clear(first: number, end: number, onCleared: () => void): void {
    for (const number of this.#leafNumbers(first, end)) {
      const leaf = this.#leaves.get(number) as Uint32Array;
      const from = Math.max(0, first - number * LEAF_CHUNKS);
      const to = Math.min(leaf.length / WORDS, end - number * LEAF_CHUNKS);
      for (let index = from; index < to; index++) {
        if (!this.#take(leaf, index)) continue;
        leaf[index * WORDS] = 0;
        onCleared();
      }
      if (from === 0 && to === leaf.length / WORDS) this.#leaves.delete(number);
    }
  }

  /** Yields the file chunks from `first` to before `end` that have a place, ascending. Each is the one found last. */
  *chunks(first = 0, end = Number.POSITIVE_INFINITY): Generator<number> {
    for (const number of this.#leafNumbers(first, end)) {
      const leaf = this.#leaves.get(number);
      if (leaf === undefined) continue;
      const start = number * LEAF_CHUNKS;
      const to = Math.min(leaf.length / WORDS, end - start);
      for (let index = Math.max(0, first - start); index < to; index++) {
        if (this.#take(leaf, index)) yield start + index;
      }
    }
  }

  /** Like {@link chunks}, but yields runs of chunks that follow each other in one object, each as long as possible. */
  *runs(first: number, end: number): Generator<PlacedRun> {
    let run: { fileChunk: number; object: number; objectChunk: number; count: number } | undefined;
    for (const chunk of this.chunks(first, end)) {
      const { object, objectChunk } = this;
      if (
        run !== undefined &&
        run.object === object &&
        run.fileChunk + run.count === chunk &&
        run.objectChunk + run.count === objectChunk
      ) {
        run.count++;
        continue;
      }
      if (run !== undefined) yield run;
      run = { fileChunk: chunk, object, objectChunk, count: 1 };
    }
    if (run !== undefined) yield run;
  }

  /** Returns the last file chunk that has a place, or -1. */
  last(): number {
    for (const number of this.#leafNumbers(0, Number.POSITIVE_INFINITY).reverse()) {
      const leaf = this.#leaves.get(number) as Uint32Array;
      for (let index = leaf.length / WORDS - 1; index >= 0; index--) {
        if (leaf[index * WORDS] !== 0) return number * LEAF_CHUNKS + index;
      }
    }
    return -1;
  }

  /** Makes a chunk of a leaf the one found last, if it has a place. */
  #take(leaf: Uint32Array, index: number): boolean {
    const object = leaf[index * WORDS];
    if (object === undefined || object === 0) return false;
    this.object = object - 1;
    this.objectChunk = leaf[index * WORDS + 1] as number;
    this.holes = leaf[index * WORDS + 2] as number;
    return true;
  }

  /** Returns a leaf that is long enough for the chunk at `index` of it. */
  #leafWith(number: number, index: number): Uint32Array {
    const known = this.#leaves.get(number);
    if (known !== undefined && index < known.length / WORDS) return known;
    const chunks = Math.min(LEAF_CHUNKS, Math.max(index + 1, ((known?.length ?? 0) / WORDS) * 2));
    const leaf = new Uint32Array(chunks * WORDS);
    if (known !== undefined) leaf.set(known);
    this.#leaves.set(number, leaf);
    return leaf;
  }

  /** Returns the numbers of the leaves that have chunks from `first` to before `end`, ascending. */
  #leafNumbers(first: number, end: number): number[] {
    const start = Math.floor(first / LEAF_CHUNKS);
    const stop = Math.ceil(end / LEAF_CHUNKS);
    const numbers: number[] = [];
    if (stop - start <= this.#leaves.size) {
      for (let number = start; number < stop; number++) if (this.#leaves.has(number)) numbers.push(number);
      return numbers;
    }
    for (const number of this.#leaves.keys()) if (number >= start && number < stop) numbers.push(number);
    return numbers.sort((a, b) => a - b);
  }
}
