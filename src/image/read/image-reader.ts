import { Counters } from '../../base/counters.ts';
import { Region } from '../../base/linux/native.ts';
import { wipe } from '../../base/wipe.ts';
import { MAX_CHUNK_SIZE, SECTOR_SIZE } from '../../format/geometry.ts';
import type { Extent, FileInode } from '../../format/manifest.ts';
import { firstExtentPast } from './extents.ts';
import type { SourceReader } from './image-source.ts';
import { DEFAULT_READ_CACHE_BYTES, ObjectReader, type ObjectSource } from './object-reader.ts';

/** Bytes of ciphertext that are read at once. A kernel request of 1 MiB never needs more. */
export const RUN_SIZE = 1 << 20;

/** Reads plaintext of files, and authenticates each byte before it returns it. One thread must have it for itself. */
export class ImageReader implements SourceReader {
  readonly #objects: ObjectReader;
  /** Ciphertext. */
  readonly #run: Region;
  /** A sector of which only a part was asked for. */
  readonly #bounce = new Region(SECTOR_SIZE);

  /** @param cacheSize the most bytes of tag pages to keep */
  constructor(image: ObjectSource, cacheSize: number = DEFAULT_READ_CACHE_BYTES, counters: Counters = new Counters()) {
    this.#objects = new ObjectReader(image, counters, cacheSize);
    // Of compressed chunks all is read, before and after what is asked for.
    this.#run = new Region(RUN_SIZE + (this.#objects.geometry.compression === undefined ? 0 : 2 * MAX_CHUNK_SIZE));
  }

  /**
   * Reads into `out` at `outOffset` and returns the number of bytes: `length`, or fewer if the file ends before.
   * @throws CkptfsError `damaged`, `io`; `out` then holds zeros from `outOffset` on, and nothing of the file
   */
  read(file: FileInode, offset: number, length: number, out: Region, outOffset: number): number {
    const end = Math.min(offset + length, file.size);
    if (end <= offset) return 0;
    try {
      this.readExtents(file.extents, offset, end, out, outOffset);
    } catch (error) {
      wipe(out.bytes, outOffset, outOffset + end - offset);
      throw error;
    }
    return end - offset;
  }

  /** Wipes and closes everything; the reader must not be used afterwards. */
  close(): void {
    this.#objects.close();
    wipe(this.#run.bytes);
    wipe(this.#bounce.bytes);
  }

  /**
   * Reads bytes `offset` to `end` of a file of these extents, and zeros between them.
   * @throws CkptfsError `damaged`, `io`; nothing of `out` may then be used
   */
  readExtents(extents: readonly Extent[], offset: number, end: number, out: Region, outOffset: number): void {
    let position = offset;
    for (let at = firstExtentPast(extents, offset); position < end; at++) {
      const extent = extents[at];
      const dataStart = extent === undefined ? end : Math.min(end, Math.max(position, extent.fileOffset));
      out.bytes.fill(0, outOffset + position - offset, outOffset + dataStart - offset); // not secret: a hole
      if (extent === undefined) return;
      const dataEnd = Math.min(end, extent.fileOffset + extent.length);
      if (dataStart < dataEnd) {
        const from = extent.objectOffset + dataStart - extent.fileOffset;
        this.readObject(extent.object, from, from + dataEnd - dataStart, out, outOffset + dataStart - offset);
      }
      position = Math.max(dataStart, dataEnd);
    }
  }

  /**
   * Reads bytes `start` to `end` of an object's data space.
   * @param object its index among the image's objects
   * @throws CkptfsError `damaged`, `io`; nothing of `out` may then be used
   */
  readObject(object: number, start: number, end: number, out: Region, outOffset: number): void {
    const { groupSize } = this.#objects.geometry;
    for (let position = start; position < end; ) {
      const first = position - (position % SECTOR_SIZE);
      const groupEnd = position - (position % groupSize) + groupSize;
      const stop = Math.min(end, groupEnd, first + RUN_SIZE);
      const length = Math.ceil((stop - first) / SECTOR_SIZE) * SECTOR_SIZE;
      const before = this.#objects.load(object, first, length, this.#run);
      this.#openRun(object, first - before, position, stop, out, outOffset + position - start);
      position = stop;
    }
  }

  /** Opens bytes `start` to `end` of what is loaded from `first` on. Nothing of it is kept: the kernel does. */
  #openRun(object: number, first: number, start: number, end: number, out: Region, outOffset: number): void {
    for (let position = start; position < end; ) {
      const sector = position - (position % SECTOR_SIZE);
      const whole = sector === position ? Math.floor((end - position) / SECTOR_SIZE) * SECTOR_SIZE : 0;
      const to = outOffset + position - start;
      if (whole > 0) {
        this.#objects.openLoaded(object, position, whole, this.#run, position - first, out, to);
        position += whole;
      } else {
        const stop = Math.min(end, sector + SECTOR_SIZE);
        this.#objects.openLoaded(object, sector, SECTOR_SIZE, this.#run, sector - first, this.#bounce, 0);
        this.#bounce.bytes.copy(out.bytes, to, position - sector, stop - sector);
        position = stop;
      }
    }
  }
}
