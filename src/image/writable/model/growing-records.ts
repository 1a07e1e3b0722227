import { Region } from '../../../base/linux/native.ts';
import { type Geometry, PAGE_SIZE } from '../../../format/geometry.ts';
import type { GrowingObject } from '../../read/object-reader.ts';

/** Chunks of an object that was begun in a journal, at most (format.md §8). */
export const MAX_GROWN_CHUNKS = 65536;

interface TagPage {
  readonly region: Region;
  /** Whether the object has it as it is here. */
  written: boolean;
}

/**
 * The tag pages of a growing object that are still needed: not full, not written, or with records that no frame has yet
 * (W4).
 */
export class GrowingRecords implements GrowingObject {
  /** By group. */
  readonly #pages = new Map<number, TagPage>();
  readonly #geometry: Geometry;

  constructor(geometry: Geometry) {
    this.#geometry = geometry;
  }

  page(group: number): Region | undefined {
    return this.#pages.get(group)?.region;
  }

  /** Returns the page that the record of a chunk is about to be written on. */
  pageToFill(chunk: number): Region {
    const group = this.#geometry.groupOf(chunk);
    const known = this.#pages.get(group);
    if (known !== undefined) {
      known.written = false;
      return known.region;
    }
    const region = new Region(PAGE_SIZE);
    this.#pages.set(group, { region, written: false });
    return region;
  }

  get isEmpty(): boolean {
    return this.#pages.size === 0;
  }

  /** Yields the pages that the object does not have yet, each with its group. */
  *unwritten(): Generator<readonly [group: number, page: Region]> {
    for (const [group, { region, written }] of this.#pages) if (!written) yield [group, region];
  }

  setWritten(group: number): void {
    const page = this.#pages.get(group);
    if (page !== undefined) page.written = true;
  }

  /** Removes the records after the first `chunks`. */
  cut(chunks: number): void {
    const last = this.#geometry.groupOf(chunks);
    for (const [group, page] of this.#pages) {
      if (group < last) continue;
      const kept = group === last ? this.#geometry.recordOffset(chunks) : 0;
      page.region.bytes.fill(0, kept); // not secret: records of chunks
      page.written = false;
      if (kept === 0) this.#pages.delete(group);
    }
  }

  /** Forgets full pages that are written. A frame must have their records. @param chunks of the object so far */
  forgetFull(chunks: number): void {
    const full = this.#geometry.groupOf(chunks);
    for (const [group, { written }] of this.#pages) if (written && group < full) this.#pages.delete(group);
  }
}
