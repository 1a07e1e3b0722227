import { invariant } from '../../../base/assert.ts';
import { Errno } from '../../../base/errno.ts';
import { CkptfsError } from '../../../base/errors.ts';
import type { Region } from '../../../base/linux/native.ts';
import { type Geometry, SECTOR_SIZE } from '../../../format/geometry.ts';
import type { FileChunks } from '../model/file-chunks.ts';
import type { DirtyChunk, LiveFile } from '../model/live-inode.ts';
import type { PendingContents } from '../model/pending-contents.ts';
import { Placements } from '../model/placements.ts';
import type { ObjectAppender } from '../objects/object-appender.ts';
import type { DirtyChunks } from './dirty-chunks.ts';
import type { RefusedContents } from './refused-contents.ts';

/** Bytes of one write at most, so that its entries fit into one frame of the journal. */
const MAX_WRITE = 16 << 20;

/** What a {@link ContentWriter} works on. */
export interface WriterParts {
  readonly geometry: Geometry;
  readonly chunks: FileChunks;
  readonly dirty: DirtyChunks;
  readonly appender: ObjectAppender;
  readonly pending: PendingContents;
  readonly refused: RefusedContents;
  /** The memory of dirty chunks. */
  readonly pool: Region;
}

/**
 * Changes the contents of files. Each operation first does all that can fail, and then changes everything (W12). A
 * chunk that is written whole is stored at once, from the caller's memory; one that is written in part becomes dirty.
 */
export class ContentWriter {
  readonly #parts: WriterParts;
  readonly #chunkSize: number;
  readonly #placements = new Placements();

  constructor(parts: WriterParts) {
    this.#parts = parts;
    this.#chunkSize = parts.geometry.chunkSize;
  }

  /** Writes into a file, as {@link WritableImage.write} describes. */
  write(file: LiveFile, offset: number, length: number, from: Region, fromOffset: number): void {
    if (length > MAX_WRITE)
      throw new CkptfsError('bad-argument', `a write of ${length} bytes; ${MAX_WRITE} are possible`);
    const end = offset + length;
    checkSize(end);
    if (end > file.size) this.#parts.dirty.prepareGrowth(file);
    const source = fromOffset - offset;
    const first = Math.ceil(offset / this.#chunkSize);
    const endChunk = Math.max(first, Math.floor(end / this.#chunkSize));
    this.#append(first, endChunk, from, source);
    let head: DirtyChunk | undefined;
    let tail: DirtyChunk | undefined;
    try {
      if (offset < first * this.#chunkSize) head = this.#open(file, first - 1, offset, end);
      if (end > endChunk * this.#chunkSize) tail = this.#open(file, endChunk, offset, end);
    } catch (error) {
      this.#parts.appender.abandon(this.#placements);
      throw error;
    }
    this.#place(file, first, endChunk);
    if (head !== undefined) this.#fill(head, offset, end, from, source);
    if (tail !== undefined) this.#fill(tail, offset, end, from, source);
    file.size = Math.max(file.size, end);
  }

  /** Returns whether a write has to read a stored chunk, since it begins or ends within one. */
  reads(file: LiveFile, offset: number, length: number): boolean {
    const end = offset + length;
    const ends = [offset, end].filter((bound) => bound % this.#chunkSize !== 0);
    return ends.some((bound) => {
      const chunk = Math.floor(bound / this.#chunkSize);
      const isDirty = file.dirty?.has(chunk) === true;
      return !isDirty && !this.#isOverwritten(file, chunk, offset, end) && this.#parts.chunks.holds(file, chunk);
    });
  }

  /** Sets the size of a file, as {@link WritableImage.truncate} describes. */
  truncate(file: LiveFile, size: number): void {
    checkSize(size);
    const isCut = size < file.size;
    if (isCut) this.#clear(file, size, file.size);
    else if (size > file.size) this.#parts.dirty.prepareGrowth(file);
    file.size = size;
    if (isCut) this.#parts.dirty.cut(file);
  }

  /** Makes a hole, as {@link WritableImage.punch} describes. */
  punch(file: LiveFile, offset: number, length: number): void {
    const end = Math.min(offset + length, file.size);
    if (offset < end) this.#clear(file, offset, end);
  }

  /** Gives up the contents of a file. */
  drop(file: LiveFile): void {
    const { dirty, pending, refused } = this.#parts;
    dirty.clear(file, 0, Number.POSITIVE_INFINITY);
    refused.forget(file);
    pending.forget(file);
  }

  /**
   * Stores the file chunks from `first` to before `end`.
   * @param source the offset in `from` minus the offset in the file
   */
  #append(first: number, end: number, from: Region, source: number): void {
    const { appender } = this.#parts;
    appender.append(this.#placements, end - first, () => {
      for (let chunk = first; chunk < end; chunk++) appender.add(from, source + chunk * this.#chunkSize, 0);
    });
  }

  /** Puts the stored chunks into the file, from `first` to before `end`. */
  #place(file: LiveFile, first: number, end: number): void {
    invariant(this.#placements.count === end - first, 'W3');
    if (first === end) return;
    const { dirty, chunks, pending } = this.#parts;
    dirty.clear(file, first, end);
    for (let index = 0; index < end - first; index++) {
      chunks.place(file, first + index, this.#placements.object(index), this.#placements.chunk(index), 0);
    }
    pending.addPlaced(file, first, end - first);
  }

  /** Makes a chunk dirty, of which the bytes from `start` to before `end` are about to be written. */
  #open(file: LiveFile, chunk: number, start: number, end: number): DirtyChunk {
    return this.#parts.dirty.open(file, chunk, this.#isOverwritten(file, chunk, start, end));
  }

  /** Returns whether the bytes from `start` to before `end` are all of a chunk that is within the size. */
  #isOverwritten(file: LiveFile, chunk: number, start: number, end: number): boolean {
    const from = chunk * this.#chunkSize;
    return start <= from && end >= Math.min(from + this.#chunkSize, file.size);
  }

  /** Copies the part of a write that is in a dirty chunk into it. */
  #fill(dirty: DirtyChunk, start: number, end: number, from: Region, source: number): void {
    const origin = dirty.chunk * this.#chunkSize;
    const first = Math.max(start, origin);
    const last = Math.min(end, origin + this.#chunkSize);
    from.bytes.copy(this.#parts.pool.bytes, dirty.offset + first - origin, source + first, source + last);
    const written = sectorBits(Math.floor((first - origin) / SECTOR_SIZE), Math.ceil((last - origin) / SECTOR_SIZE));
    this.#parts.dirty.setHoles(dirty, dirty.holes & ~written);
  }

  /** Makes a range within the size read as zeros. */
  #clear(file: LiveFile, start: number, end: number): void {
    const { dirty, pending } = this.#parts;
    const first = Math.ceil(start / this.#chunkSize);
    // A file holds nothing after its end, so a range that ends there takes the last chunk as a whole.
    const endChunk = end === file.size ? Math.ceil(end / this.#chunkSize) : Math.floor(end / this.#chunkSize);
    const head = start < first * this.#chunkSize ? this.#openHeld(file, first - 1) : undefined;
    const tail = end > endChunk * this.#chunkSize && endChunk >= first ? this.#openHeld(file, endChunk) : undefined;
    if (first < endChunk) {
      dirty.clear(file, first, endChunk);
      pending.addHoles(file, first, endChunk);
    }
    for (const part of [head, tail])
      if (part !== undefined) this.#zero(part, start, end === file.size ? Infinity : end);
  }

  /** Makes a chunk dirty if it holds anything. */
  #openHeld(file: LiveFile, chunk: number): DirtyChunk | undefined {
    const { dirty, chunks } = this.#parts;
    if (file.dirty?.has(chunk) !== true && !chunks.holds(file, chunk)) return undefined;
    return dirty.open(file, chunk, false);
  }

  /**
   * Zeros the part of a range that is in a dirty chunk. Whole sectors become holes, and a chunk of holes alone is
   * removed.
   */
  #zero(part: DirtyChunk, start: number, end: number): void {
    const { dirty, geometry, pending, pool } = this.#parts;
    const origin = part.chunk * this.#chunkSize;
    const first = Math.max(0, start - origin);
    const last = Math.min(this.#chunkSize, end - origin);
    pool.bytes.fill(0, part.offset + first, part.offset + last); // not secret: becomes a hole
    const cleared = sectorBits(Math.ceil(first / SECTOR_SIZE), Math.floor(last / SECTOR_SIZE));
    dirty.setHoles(part, part.holes | cleared);
    if (part.holes !== geometry.holeMask) return;
    dirty.clear(part.file, part.chunk, part.chunk + 1);
    pending.addHoles(part.file, part.chunk, part.chunk + 1);
  }
}

/** @throws Errno EFBIG */
function checkSize(size: number): void {
  if (!Number.isSafeInteger(size)) throw Errno.of('EFBIG');
}

/** Returns the bits of the sectors from `first` to before `end` of a chunk. */
function sectorBits(first: number, end: number): number {
  return first < end ? 2 ** end - 2 ** first : 0;
}
