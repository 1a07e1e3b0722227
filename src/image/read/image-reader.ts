import { Counters } from '../../base/counters.ts';
import { Region } from '../../base/linux/native.ts';
import { wipe } from '../../base/wipe.ts';
import { CHUNKS_PER_GROUP, MAX_CHUNK_SIZE, RECORD_SIZE, SECTOR_SIZE } from '../../format/geometry.ts';
import type { Extent, FileInode } from '../../format/manifest.ts';
import { ChunkCache } from './chunk-cache.ts';
import { firstExtentPast } from './extents.ts';
import { ObjectReader, type ObjectSource } from './object-reader.ts';

/** Bytes of ciphertext that are read at once. A kernel request of 1 MiB never needs more. */
const RUN_SIZE = 1 << 20;

/**
 * Enough for readers of small files, which share chunks: the kernel keeps what it was given, and asks for the rest of a
 * chunk soon or not at all. On a machine where memory is dear to touch, filling 64 MiB made the first reads three times
 * as slow.
 */
export const DEFAULT_READ_CACHE_BYTES = 4 << 20;

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
    this.#objects.openChunks(object, first, count, this.#run, 0);
    const cipher = this.#objects.cipher(object);
    const { page } = this.#objects;
    for (let i = 0; i < count; i++) {
      const at = i * chunkSize;
      const record = this.#objects.recordAt(first + i);
      cipher.decryptSectors(page, record, this.#run, at, 0, sectorsPerChunk, out, outOffset + at);
    }
  }

  /** Reads a part of one chunk and keeps the chunk, since the rest of it is likely to be read next. */
  #readPart(object: number, chunk: number, inChunk: number, length: number, out: Region, outOffset: number): void {
    const slot = this.#cachedChunk(object, chunk);
    const { chunks, records } = this.#chunks;
    const record = this.#chunks.recordOffset(slot);
    const data = this.#chunks.chunkOffset(slot);
    const cipher = this.#objects.cipher(object);
    const firstSector = Math.floor(inChunk / SECTOR_SIZE);
    const inSector = inChunk % SECTOR_SIZE;
    const sectors = Math.ceil((inSector + length) / SECTOR_SIZE);
    if (inSector === 0 && length % SECTOR_SIZE === 0) {
      cipher.decryptSectors(records, record, chunks, data, firstSector, sectors, out, outOffset);
      return;
    }
    cipher.decryptSectors(records, record, chunks, data, firstSector, sectors, this.#bounce, 0);
    this.#bounce.bytes.copy(out.bytes, outOffset, inSector, inSector + length);
  }

  /** Returns the slot of a chunk in the cache, and opens the chunk there if it is not yet. */
  #cachedChunk(object: number, chunk: number): number {
    const key = this.#objects.chunkKey(object, chunk);
    const known = this.#chunks.find(key);
    if (known !== -1) {
      this.#counters.add('cacheHits', 1);
      return known;
    }
    this.#counters.add('cacheMisses', 1);
    const slot = this.#chunks.claim(key);
    try {
      this.#objects.openChunks(object, chunk, 1, this.#chunks.chunks, this.#chunks.chunkOffset(slot));
    } catch (error) {
      this.#chunks.release(slot);
      throw error;
    }
    const { page } = this.#objects;
    copyRecord(page, this.#objects.recordAt(chunk), this.#chunks.records, this.#chunks.recordOffset(slot));
    return slot;
  }
}

/** Copies a record word by word, because Buffer.copy would allocate two objects. */
function copyRecord(from: Region, fromOffset: number, to: Region, toOffset: number): void {
  for (let i = 0; i < RECORD_SIZE; i += 4) {
    to.view.setUint32(toOffset + i, from.view.getUint32(fromOffset + i, true), true);
  }
}
