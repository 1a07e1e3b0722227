/** How many ranges may stand unsorted before they are put in order. */
const MIN_UNSORTED = 64;

/** A set of file chunks, small when they are neighbours: runs of writes add to its last range. */
export class ChunkRanges {
  /** Start and end of each, one behind the other. */
  #bounds: number[] = [];
  #sortedLength = 0;

  /** Chunks from `first` to before `end`. */
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

  /** Each range as its first chunk and the one behind its last; ascending, with room between them. */
  *ranges(): Generator<readonly [first: number, end: number]> {
    this.#sort();
    for (let at = 0; at < this.#bounds.length; at += 2) {
      yield [this.#bounds[at] as number, this.#bounds[at + 1] as number];
    }
  }

  #sort(): void {
    const pairs: [number, number][] = [];
    for (let at = 0; at < this.#bounds.length; at += 2) {
      pairs.push([this.#bounds[at] as number, this.#bounds[at + 1] as number]);
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
