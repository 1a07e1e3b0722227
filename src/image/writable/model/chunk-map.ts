/** File chunks of one leaf. */
const LEAF_CHUNKS = 512;
/** Words of a chunk: object + 1 (0: nothing lies there), chunk of the object, holes. */
const WORDS = 3;

/** A run of file chunks that lie in a run of chunks of one object. */
export interface PlacedRun {
  readonly fileChunk: number;
  readonly object: number;
  readonly objectChunk: number;
  readonly count: number;
}

/**
 * Where each chunk of a file lies: in which chunk of which object, and which of its sectors are holes. 12 bytes a chunk, none where
 * nothing lies; as small for a file of one chunk as for one that is nearly all hole.
 */
export class ChunkMap {
  /** By number; a leaf is as long as its last chunk needs. */
  readonly #leaves = new Map<number, Uint32Array>();
  /** Of the chunk found last. */
  object = 0;
  objectChunk = 0;
  holes = 0;

  /** Whether something lies at a file chunk; then `object`, `objectChunk` and `holes` say what. */
  find(chunk: number): boolean {
    const leaf = this.#leaves.get(Math.floor(chunk / LEAF_CHUNKS));
    return leaf !== undefined && this.#take(leaf, chunk % LEAF_CHUNKS);
  }

  set(chunk: number, object: number, objectChunk: number, holes: number): void {
    const leaf = this.#leafWith(Math.floor(chunk / LEAF_CHUNKS), chunk % LEAF_CHUNKS);
    const at = (chunk % LEAF_CHUNKS) * WORDS;
    leaf[at] = object + 1;
    leaf[at + 1] = objectChunk;
    leaf[at + 2] = holes;
  }

  /** Takes away what lies at the chunks from `first` to before `end`; each is told while it is the one found last. */
  clear(first: number, end: number, onCleared: () => void): void {
    for (const number of this.#leafNumbers(first, end)) {
      const leaf = this.#leaves.get(number) as Uint32Array;
      const from = Math.max(0, first - number * LEAF_CHUNKS);
      const to = Math.min(leaf.length / WORDS, end - number * LEAF_CHUNKS);
      for (let at = from; at < to; at++) {
        if (!this.#take(leaf, at)) continue;
        leaf[at * WORDS] = 0;
        onCleared();
      }
      if (from === 0 && to === leaf.length / WORDS) this.#leaves.delete(number);
    }
  }

  /** In ascending order the file chunks from `first` to before `end` at which something lies; each is the one found last. */
  *chunks(first = 0, end = Number.POSITIVE_INFINITY): Generator<number> {
    for (const number of this.#leafNumbers(first, end)) {
      const leaf = this.#leaves.get(number);
      if (leaf === undefined) continue;
      const start = number * LEAF_CHUNKS;
      const to = Math.min(leaf.length / WORDS, end - start);
      for (let at = Math.max(0, first - start); at < to; at++) if (this.#take(leaf, at)) yield start + at;
    }
  }

  /** The same chunks, as many as possible at a time. */
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

  /** The last file chunk at which something lies, or -1. */
  last(): number {
    for (const number of this.#leafNumbers(0, Number.POSITIVE_INFINITY).reverse()) {
      const leaf = this.#leaves.get(number) as Uint32Array;
      for (let at = leaf.length / WORDS - 1; at >= 0; at--) {
        if (leaf[at * WORDS] !== 0) return number * LEAF_CHUNKS + at;
      }
    }
    return -1;
  }

  #take(leaf: Uint32Array, at: number): boolean {
    const object = leaf[at * WORDS];
    if (object === undefined || object === 0) return false;
    this.object = object - 1;
    this.objectChunk = leaf[at * WORDS + 1] as number;
    this.holes = leaf[at * WORDS + 2] as number;
    return true;
  }

  /** @param at a chunk of the leaf that there must be room for */
  #leafWith(number: number, at: number): Uint32Array {
    const known = this.#leaves.get(number);
    if (known !== undefined && at < known.length / WORDS) return known;
    const chunks = Math.min(LEAF_CHUNKS, Math.max(at + 1, ((known?.length ?? 0) / WORDS) * 2));
    const leaf = new Uint32Array(chunks * WORDS);
    if (known !== undefined) leaf.set(known);
    this.#leaves.set(number, leaf);
    return leaf;
  }

  /** The numbers, ascending, of the leaves there are that have chunks from `first` to before `end`. */
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
