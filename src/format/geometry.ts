/**
 * Computes the places of everything in an object (format.md §6). Offsets and lengths are in bytes unless named
 * otherwise.
 */

export const SECTOR_SIZE = 4096;
export const PAGE_SIZE = 4096;
export const RECORD_SIZE = 32;
export const CHUNKS_PER_GROUP = PAGE_SIZE / RECORD_SIZE;
const MIN_CHUNK_SIZE = 4096;
export const MAX_CHUNK_SIZE = 65536;
export const DEFAULT_CHUNK_SIZE = 16384;
export const MAX_CHUNKS = 2 ** 32;

/** Returns whether the format has a chunk size: a power of two from 4 KiB to 64 KiB. */
export function isChunkSize(size: number): boolean {
  return Number.isInteger(size) && size >= MIN_CHUNK_SIZE && size <= MAX_CHUNK_SIZE && (size & (size - 1)) === 0;
}

export class Geometry {
  readonly chunkSize: number;
  readonly sectorsPerChunk: number;
  /** The data bytes of a full group. */
  readonly groupSize: number;
  /** The bytes from one tag page to the next. */
  readonly groupStride: number;
  /** The bits of a record's `holes` that may be set. */
  readonly holeMask: number;

  /** @param chunkSize a value for which {@link isChunkSize} holds; anything else is a programming error */
  constructor(chunkSize: number) {
    if (!isChunkSize(chunkSize)) throw new RangeError(`chunk size ${chunkSize}`);
    this.chunkSize = chunkSize;
    this.sectorsPerChunk = chunkSize / SECTOR_SIZE;
    this.groupSize = CHUNKS_PER_GROUP * chunkSize;
    this.groupStride = PAGE_SIZE + this.groupSize;
    this.holeMask = 2 ** this.sectorsPerChunk - 1;
  }

  /** Returns the number of chunks for `length` data bytes. */
  chunksFor(length: number): number {
    return Math.ceil(length / this.chunkSize);
  }

  /** Returns the number of groups, that is of tag pages, of an object with so many chunks. */
  groupsFor(chunks: number): number {
    return Math.ceil(chunks / CHUNKS_PER_GROUP);
  }

  tagPageOffset(group: number): number {
    return PAGE_SIZE + group * this.groupStride;
  }

  chunkOffset(chunk: number): number {
    const group = Math.floor(chunk / CHUNKS_PER_GROUP);
    return this.tagPageOffset(group) + PAGE_SIZE + (chunk % CHUNKS_PER_GROUP) * this.chunkSize;
  }

  /** Returns the size of the whole file. */
  objectSize(chunks: number): number {
    return PAGE_SIZE + this.groupsFor(chunks) * PAGE_SIZE + chunks * this.chunkSize;
  }
}

/** Returns the offset of the record of a chunk in the tag page of its group. */
export function recordOffset(chunk: number): number {
  return (chunk % CHUNKS_PER_GROUP) * RECORD_SIZE;
}
