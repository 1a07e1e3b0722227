import type { CompressionName } from './compressions.ts';
import { DEFAULT_SUITE, type SuiteName } from './suites.ts';

/**
 * Computes the places of everything in an object (format.md §6). Offsets and lengths are in bytes unless named
 * otherwise.
 */

export const SECTOR_SIZE = 4096;
export const PAGE_SIZE = 4096;
export const SECTOR_TAG_SIZE = 12;
/** Offsets in a chunk record. A tag for each sector is the last field. */
export const recordFields = { nonce: 0, holes: 12, sectors: 14, tags: 16 } as const;
const MIN_CHUNK_SIZE = 4096;
export const MAX_CHUNK_SIZE = 65536;
const DEFAULT_CHUNK_SIZE = 16384;
/** A stored chunk takes whole sectors, so more of it is saved where it has more of them. */
const COMPRESSED_CHUNK_SIZE = 65536;
export const MAX_CHUNKS = 2 ** 32;

/** Returns whether the format has a chunk size: a power of two from 4 KiB to 64 KiB. */
export function isChunkSize(size: number): boolean {
  return Number.isInteger(size) && size >= MIN_CHUNK_SIZE && size <= MAX_CHUNK_SIZE && (size & (size - 1)) === 0;
}

/** Returns the chunk size of an image for which none is asked. */
export function defaultChunkSize(compression: CompressionName | undefined): number {
  return compression === undefined ? DEFAULT_CHUNK_SIZE : COMPRESSED_CHUNK_SIZE;
}

/** Returns the bytes of a chunk's record: the least power of two that nonce, map of holes, flags and tags fit in. */
function recordSizeOf(chunkSize: number): number {
  return 2 ** Math.ceil(Math.log2(recordFields.tags + (chunkSize / SECTOR_SIZE) * SECTOR_TAG_SIZE));
}

/** Returns how many chunks have their records on one tag page. */
export function chunksPerGroup(chunkSize: number): number {
  return PAGE_SIZE / recordSizeOf(chunkSize);
}

export class Geometry {
  readonly chunkSize: number;
  readonly sectorsPerChunk: number;
  readonly recordSize: number;
  readonly chunksPerGroup: number;
  /** The data bytes of a full group. */
  readonly groupSize: number;
  /** The bytes from one tag page to the next. */
  readonly groupStride: number;
  /** The bits of a record's `holes` that may be set. */
  readonly holeMask: number;
  /** Bytes of the nonce of a sector. Only one of 12 has the number of the sector within the nonce of the record. */
  readonly sectorNonceSize: 12 | 16;
  /** How compressed chunks are compressed; undefined in an image without any. */
  readonly compression: CompressionName | undefined;

  /** @param chunkSize a value for which {@link isChunkSize} holds; anything else is a programming error */
  constructor(chunkSize: number, suite: SuiteName = DEFAULT_SUITE, compression?: CompressionName) {
    if (!isChunkSize(chunkSize)) throw new RangeError(`chunk size ${chunkSize}`);
    this.chunkSize = chunkSize;
    this.sectorsPerChunk = chunkSize / SECTOR_SIZE;
    this.recordSize = recordSizeOf(chunkSize);
    this.chunksPerGroup = chunksPerGroup(chunkSize);
    this.groupSize = this.chunksPerGroup * chunkSize;
    this.groupStride = PAGE_SIZE + this.groupSize;
    this.holeMask = 2 ** this.sectorsPerChunk - 1;
    this.sectorNonceSize = suite === 'fips' ? 16 : 12;
    this.compression = compression;
  }

  /** Returns how many sectors of a chunk with this hole map have content. */
  dataSectors(holes: number): number {
    let count = 0;
    for (let rest = this.holeMask & ~holes; rest !== 0; rest &= rest - 1) count++;
    return count;
  }

  /** Returns the number of chunks for `length` data bytes. */
  chunksFor(length: number): number {
    return Math.ceil(length / this.chunkSize);
  }

  /** Returns the number of groups, that is of tag pages, of an object with so many chunks. */
  groupsFor(chunks: number): number {
    return Math.ceil(chunks / this.chunksPerGroup);
  }

  /** Returns the group of a chunk. */
  groupOf(chunk: number): number {
    return Math.floor(chunk / this.chunksPerGroup);
  }

  /** Returns the offset of the record of a chunk in the tag page of its group. */
  recordOffset(chunk: number): number {
    return (chunk % this.chunksPerGroup) * this.recordSize;
  }

  tagPageOffset(group: number): number {
    return PAGE_SIZE + group * this.groupStride;
  }

  chunkOffset(chunk: number): number {
    return this.tagPageOffset(this.groupOf(chunk)) + PAGE_SIZE + (chunk % this.chunksPerGroup) * this.chunkSize;
  }

  /** Returns the place of a byte of the data space. */
  dataOffset(position: number): number {
    return this.chunkOffset(Math.floor(position / this.chunkSize)) + (position % this.chunkSize);
  }

  /** Returns the size of the whole file. */
  objectSize(chunks: number): number {
    return PAGE_SIZE + this.groupsFor(chunks) * PAGE_SIZE + chunks * this.chunkSize;
  }
}
