import { Counters } from '../../base/counters.ts';
import { Region } from '../../base/linux/native.ts';
import { wipe } from '../../base/wipe.ts';
import { CHUNKS_PER_GROUP, MAX_CHUNK_SIZE, RECORD_SIZE, recordOffset, SECTOR_SIZE } from '../../format/geometry.ts';
import type { Extent, FileInode } from '../../format/manifest.ts';
import { type CachedChunk, ChunkCache } from './chunk-cache.ts';
import { firstExtentPast } from './extents.ts';
import { ObjectReader, type ObjectSource } from './object-reader.ts';

/** Bytes of ciphertext that are read at once. A kernel request of 1 MiB never needs more. */
const RUN_SIZE = 1 << 20;

export const DEFAULT_READ_CACHE_BYTES = 64 << 20;

/** Reads plaintext of files, and authenticates each byte before it returns it. One thread must have it for itself. */
export class ImageReader {
  readonly #objects: ObjectReader;
  readonly #chunks: ChunkCache;
  readonly #counters: Counters;
  readonly #run = new Region(RUN_SIZE);
  readonly #bounce = new Region(MAX_CHUNK_SIZE);

  /** @param cacheSize the most bytes of verified chunks to keep */
  constructor(image: ObjectSource, cacheSize: number = DEFAULT_READ_CACHE_BYTES, counters: Counters = new Counters()) {
    this.#objects = new ObjectReader(image, counters);
    this.#chunks = new ChunkCache(cacheSize, image.header.chunkSize);
    this.#counters = counters;
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
    this.#chunks.clear();
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
    const { chunkSize } = this.#objects.geometry;
    let position = start;
    while (position < end) {
      const chunk = Math.floor(position / chunkSize);
      const inChunk = position % chunkSize;
      const whole = inChunk === 0 ? Math.floor((end - position) / chunkSize) : 0;
      const to = outOffset + position - start;
      if (whole > 0) {
        const count = Math.min(whole, RUN_SIZE / chunkSize, CHUNKS_PER_GROUP - (chunk % CHUNKS_PER_GROUP));
        this.#readRun(object, chunk, count, out, to);
        position += count * chunkSize;
      } else {
        const length = Math.min(end - position, chunkSize - inChunk);
        this.#readPart(object, chunk, inChunk, length, out, to);
        position += length;
      }
    }
  }

  /** Reads whole chunks of one group. Does not keep them, since the kernel keeps what it gets. */
  #readRun(object: number, first: number, count: number, out: Region, outOffset: number): void {
    const { chunkSize, sectorsPerChunk } = this.#objects.geometry;
    const page = this.#objects.openChunks(object, first, count, this.#run, 0);
    const cipher = this.#objects.cipher(object);
    for (let i = 0; i < count; i++) {
      const at = i * chunkSize;
      cipher.decryptSectors(page, recordOffset(first + i), this.#run, at, 0, sectorsPerChunk, out, outOffset + at);
    }
  }

  /** Reads a part of one chunk and keeps the chunk, since the rest of it is likely to be read next. */
  #readPart(object: number, chunk: number, inChunk: number, length: number, out: Region, outOffset: number): void {
    const cached = this.#cachedChunk(object, chunk);
    const cipher = this.#objects.cipher(object);
    const firstSector = Math.floor(inChunk / SECTOR_SIZE);
    const inSector = inChunk % SECTOR_SIZE;
    const sectors = Math.ceil((inSector + length) / SECTOR_SIZE);
    if (inSector === 0 && length % SECTOR_SIZE === 0) {
      cipher.decryptSectors(cached.record, 0, cached.data, 0, firstSector, sectors, out, outOffset);
      return;
    }
    cipher.decryptSectors(cached.record, 0, cached.data, 0, firstSector, sectors, this.#bounce, 0);
    this.#bounce.bytes.copy(out.bytes, outOffset, inSector, inSector + length);
  }

  #cachedChunk(object: number, chunk: number): CachedChunk {
    const key = this.#objects.chunkKey(object, chunk);
    const known = this.#chunks.get(key);
    if (known !== undefined) {
      this.#counters.add('cacheHits', 1);
      return known;
    }
    this.#counters.add('cacheMisses', 1);
    const made = this.#chunks.take();
    try {
      const page = this.#objects.openChunks(object, chunk, 1, made.data, 0);
      copyRecord(page, recordOffset(chunk), made.record);
    } catch (error) {
      this.#chunks.giveBack(made);
      throw error;
    }
    this.#chunks.keep(key, made);
    return made;
  }
}

/** Copies a record word by word, because Buffer.copy would allocate two objects. */
function copyRecord(page: Region, offset: number, record: Region): void {
  for (let i = 0; i < RECORD_SIZE; i += 4) record.view.setUint32(i, page.view.getUint32(offset + i, true), true);
}
