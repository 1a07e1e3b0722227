/** How many ranges may wait unsorted before they are put in order. */
const MIN_UNSORTED = 64;

/** A set of file chunks, kept as ranges. Writes in sequence only lengthen its last range. */
export class ChunkRanges {
  /** Start and end of each range, in turn. */
  #bounds: number[] = [];
  #sortedLength = 0;

  /** Adds the chunks from `first` to before `end`. */
  add(first: number, end: number): void {
    const bounds = this.#bounds;
    const last = bounds.length - 2;
    if (last >= 0 && first >= (bounds[last] as number) && first <= (bounds[last + 1] as number)) {
      bounds[last + 1] = Math.max(end, bounds[last + 1] as number);
      return;
    }
    bounds.push(first, end);
    if (bounds.length >= 2 * Math.max(MIN_UNSORTED, this.#sortedLength)) this.#sort();
  }

  /** Yields the ranges, each by its first chunk and its end. They are in ascending order and do not touch. */
  *ranges(): Generator<readonly [first: number, end: number]> {
    this.#sort();
    for (let index = 0; index < this.#bounds.length; index += 2) {
      yield [this.#bounds[index] as number, this.#bounds[index + 1] as number];
    }
  }

  #sort(): void {
    const pairs: [number, number][] = [];
    for (let index = 0; index < this.#bounds.length; index += 2) {
      pairs.push([this.#bounds[index] as number, this.#bounds[index + 1] as number]);
    }
    pairs.sort((a, b) => a[0] - b[0]);
    const merged: number[] = [];
    for (const [first, end] of pairs) {
      const last = merged.length - 1;
      if (last > 0 && first <= (merged[last] as number)) merged[last] = Math.max(end, merged[last] as number);
      else merged.push(first, end);
    }
    this.#bounds = merged;
    this.#sortedLength = merged.length;
  }
}
