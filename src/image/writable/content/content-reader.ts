import type { Region } from '../../../base/linux/native.ts';
import { wipe } from '../../../base/wipe.ts';
import { type Geometry, SECTOR_SIZE } from '../../../format/geometry.ts';
import type { Extent } from '../../../format/manifest.ts';
import { nextData, nextHole } from '../../../format/record.ts';
import { firstExtentPast } from '../../read/extents.ts';
import type { ImageReader } from '../../read/image-reader.ts';
import type { LiveFile } from '../model/live-inode.ts';

/**
 * Reads files of a writable image: dirty chunks from memory, and all else from the store, authenticated as in a sealed
 * image.
 */
export class ContentReader {
  readonly #geometry: Geometry;
  readonly #reader: ImageReader;
  /** The memory of dirty chunks. */
  readonly #pool: Region;

  constructor(geometry: Geometry, reader: ImageReader, pool: Region) {
    this.#geometry = geometry;
    this.#reader = reader;
    this.#pool = pool;
  }

  /** Reads a range of a file, as {@link WritableImage.read} describes. */
  read(file: LiveFile, offset: number, length: number, out: Region, outOffset: number): number {
    const end = Math.min(offset + length, file.size);
    if (end <= offset) return 0;
    try {
      this.#readMixed(file, offset, end, out, outOffset);
    } catch (error) {
      wipe(out.bytes, outOffset, outOffset + end - offset);
      throw error;
    }
    return end - offset;
  }

  /**
   * Reads the stored bytes of a file from `start` to before `end`, none of which may be in a dirty chunk.
   * @throws CkptfsError `damaged`, `io`: what is in `out` must not be used
   */
  readStored(file: LiveFile, start: number, end: number, out: Region, outOffset: number): void {
    const { chunkSize } = this.#geometry;
    const { map } = file;
    for (let position = start; position < end; ) {
      const first = Math.floor(position / chunkSize);
      let chunk = first + 1;
      let stop = end;
      if (map?.find(first) === true) {
        const { object, objectChunk } = map;
        while (chunk * chunkSize < end && follows(map, chunk, object, objectChunk + chunk - first)) chunk++;
        stop = Math.min(end, chunk * chunkSize);
        const from = (objectChunk - first) * chunkSize;
        this.#reader.readObject(object, from + position, from + stop, out, outOffset + position - start);
      } else {
        while (chunk * chunkSize < end && map?.find(chunk) !== true) chunk++;
        stop = Math.min(end, chunk * chunkSize);
        this.#reader.readExtents(file.base, position, stop, out, outOffset + position - start);
      }
      position = stop;
    }
  }

  /** Finds the next data or hole, as {@link WritableImage.seek} describes. */
  seek(file: LiveFile, offset: number, whence: 'data' | 'hole'): number | undefined {
    if (offset >= file.size) return undefined;
    let end = offset;
    for (const [start, stop] of this.#dataRanges(file, offset)) {
      if (whence === 'data') return Math.max(offset, start);
      if (start > end) break;
      end = stop;
    }
    return whence === 'data' ? undefined : Math.min(end, file.size);
  }

  close(): void {
    this.#reader.close();
  }

  #readMixed(file: LiveFile, offset: number, end: number, out: Region, outOffset: number): void {
    const { dirty } = file;
    if (dirty === undefined) {
      this.readStored(file, offset, end, out, outOffset);
      return;
    }
    const { chunkSize } = this.#geometry;
    let stored = offset;
    for (let chunk = Math.floor(offset / chunkSize); chunk * chunkSize < end; chunk++) {
      const found = dirty.get(chunk);
      if (found === undefined) continue;
      const start = Math.max(offset, chunk * chunkSize);
      const stop = Math.min(end, (chunk + 1) * chunkSize);
      if (stored < start) this.readStored(file, stored, start, out, outOffset + stored - offset);
      const from = found.offset - chunk * chunkSize;
      this.#pool.bytes.copy(out.bytes, outOffset + start - offset, from + start, from + stop);
      stored = stop;
    }
    if (stored < end) this.readStored(file, stored, end, out, outOffset + stored - offset);
  }

  /** Yields the ranges that hold data and end after `offset`, ascending and within the size. */
  *#dataRanges(file: LiveFile, offset: number): Generator<readonly [start: number, end: number]> {
    const { chunkSize, sectorsPerChunk } = this.#geometry;
    for (let chunk = Math.floor(offset / chunkSize); chunk * chunkSize < file.size; ) {
      const holes = file.dirty?.get(chunk)?.holes ?? (file.map?.find(chunk) === true ? file.map.holes : undefined);
      if (holes === undefined) {
        const next = this.#nextWhole(file, chunk);
        yield* baseRanges(file.base, Math.max(offset, chunk * chunkSize), Math.min(file.size, next * chunkSize));
        chunk = next;
        continue;
      }
      for (let sector = nextData(holes, 0, sectorsPerChunk); sector < sectorsPerChunk; ) {
        const stop = nextHole(holes, sector, sectorsPerChunk);
        const start = chunk * chunkSize + sector * SECTOR_SIZE;
        const end = Math.min(file.size, chunk * chunkSize + stop * SECTOR_SIZE);
        if (end > offset && start < end) yield [start, end];
        sector = nextData(holes, stop, sectorsPerChunk);
      }
      chunk++;
    }
  }

  /** Returns the first file chunk from `chunk` on that is dirty or in the map, or the number of chunks of the file. */
  #nextWhole(file: LiveFile, chunk: number): number {
    let next = this.#geometry.chunksFor(file.size);
    for (const mapped of file.map?.chunks(chunk, next) ?? []) {
      next = mapped;
      break;
    }
    for (const dirty of file.dirty?.keys() ?? []) if (dirty >= chunk && dirty < next) next = dirty;
    return next;
  }
}

function follows(map: NonNullable<LiveFile['map']>, chunk: number, object: number, objectChunk: number): boolean {
  return map.find(chunk) && map.object === object && map.objectChunk === objectChunk;
}

/**
 * Yields the parts of extents between two file offsets. An extent that ends within a sector, where the file ended when
 * it was sealed, counts up to the end of that sector.
 */
function* baseRanges(
  base: readonly Extent[],
  from: number,
  to: number,
): Generator<readonly [start: number, end: number]> {
  const sector = Math.floor(from / SECTOR_SIZE) * SECTOR_SIZE;
  for (let index = firstExtentPast(base, sector); index < base.length; index++) {
    const { fileOffset, length } = base[index] as Extent;
    if (fileOffset >= to) return;
    const end = Math.ceil((fileOffset + length) / SECTOR_SIZE) * SECTOR_SIZE;
    yield [Math.max(from, fileOffset), Math.min(to, end)];
  }
}
