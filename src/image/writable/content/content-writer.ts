import { CkptfsError } from '../../../base/errors.ts';
import type { Region } from '../../../base/linux/native.ts';
import { type Geometry, SECTOR_SIZE } from '../../../format/geometry.ts';
import type { FileChunks } from '../model/file-chunks.ts';
import { FileError } from '../model/file-error.ts';
import type { LiveFile } from '../model/live-inode.ts';
import type { PendingContents } from '../model/pending-contents.ts';
import { Placements } from '../model/placements.ts';
import type { ObjectAppender } from '../objects/object-appender.ts';
import type { DirtyChunk, DirtyChunks } from './dirty-chunks.ts';
import type { RefusedContents } from './refused-contents.ts';

/** Bytes of one write at most, so that what the journal is told of it fits into a frame. */
const MAX_WRITE = 16 << 20;

/** What the writer works on. */
export interface WriterParts {
  readonly geometry: Geometry;
  readonly chunks: FileChunks;
  readonly dirty: DirtyChunks;
  readonly appender: ObjectAppender;
  readonly pending: PendingContents;
  readonly refused: RefusedContents;
  /** Where dirty chunks lie. */
  readonly pool: Region;
}

/**
 * Changes what files hold. Each operation does first all that can fail, and then changes all or nothing. Chunks that are written whole are
 * stored at once, straight from the caller's memory; others become dirty.
 */
export class ContentWriter {
  readonly #parts: WriterParts;
  readonly #chunkSize: number;
  readonly #placements = new Placements();

  constructor(parts: WriterParts) {
    this.#parts = parts;
    this.#chunkSize = parts.geometry.chunkSize;
  }

  /** See {@link WritableImage.write}. */
  write(file: LiveFile, offset: number, length: number, from: Region, fromOffset: number): void {
    if (length > MAX_WRITE)
      throw new CkptfsError('bad-argument', `a write of ${length} bytes; ${MAX_WRITE} are possible`);
    const end = offset + length;
    checkSize(end);
    if (end > file.size) this.#parts.dirty.prepareGrowth(file);
    const source = fromOffset - offset;
    const first = Math.ceil(offset / this.#chunkSize);
    const behind = Math.max(first, Math.floor(end / this.#chunkSize));
    this.#append(first, behind, from, source);
    let head: DirtyChunk | undefined;
    let tail: DirtyChunk | undefined;
    try {
      if (offset < first * this.#chunkSize) head = this.#open(file, first - 1, offset, end);
      if (end > behind * this.#chunkSize) tail = this.#open(file, behind, offset, end);
    } catch (error) {
      this.#parts.appender.abandon(this.#placements);
      throw error;
    }
    this.#place(file, first, behind);
    if (head !== undefined) this.#fill(head, offset, end, from, source);
    if (tail !== undefined) this.#fill(tail, offset, end, from, source);
    file.size = Math.max(file.size, end);
  }

  /** Whether a write would have to read what is stored, since it ends or begins within a chunk. */
  reads(file: LiveFile, offset: number, length: number): boolean {
    const end = offset + length;
    const ends = [offset, end].filter((at) => at % this.#chunkSize !== 0);
    return ends.some((at) => {
      const chunk = Math.floor(at / this.#chunkSize);
      const isDirty = file.dirty?.has(chunk) === true;
      return !isDirty && !this.#isOverwritten(file, chunk, offset, end) && this.#parts.chunks.holds(file, chunk);
    });
  }

  /** See {@link WritableImage.truncate}. */
  truncate(file: LiveFile, size: number): void {
    checkSize(size);
    const isCut = size < file.size;
    if (isCut) this.#clear(file, size, file.size);
    else if (size > file.size) this.#parts.dirty.prepareGrowth(file);
    file.size = size;
    if (isCut) this.#parts.dirty.cut(file);
  }

  /** See {@link WritableImage.punch}. */
  punch(file: LiveFile, offset: number, length: number): void {
    const end = Math.min(offset + length, file.size);
    if (offset < end) this.#clear(file, offset, end);
  }

  /** Gives up all that a file holds. */
  drop(file: LiveFile): void {
    const { dirty, pending, refused } = this.#parts;
    dirty.clear(file, 0, Number.POSITIVE_INFINITY);
    refused.forget(file);
    pending.forget(file);
  }

  /** Stores the file chunks from `first` to before `behind`. @param source what is to be added to a file offset to find it in `from` */
  #append(first: number, behind: number, from: Region, source: number): void {
    const { appender } = this.#parts;
    appender.append(this.#placements, behind - first, () => {
      for (let chunk = first; chunk < behind; chunk++) appender.add(from, source + chunk * this.#chunkSize, 0);
    });
  }

  /** Makes the stored chunks the file's, from `first` on. */
  #place(file: LiveFile, first: number, behind: number): void {
    if (first === behind) return;
    const { dirty, chunks, pending } = this.#parts;
    dirty.clear(file, first, behind);
    for (let at = 0; at < behind - first; at++) {
      chunks.place(file, first + at, this.#placements.object(at), this.#placements.chunk(at), 0);
    }
    pending.addPlaced(file, first, behind - first);
  }

  /** Makes a chunk dirty of which the bytes from `start` to `end` are about to be written. */
  #open(file: LiveFile, chunk: number, start: number, end: number): DirtyChunk {
    return this.#parts.dirty.open(file, chunk, this.#isOverwritten(file, chunk, start, end));
  }

  /** Whether the bytes from `start` to `end` are all of a chunk that lies within the size. */
  #isOverwritten(file: LiveFile, chunk: number, start: number, end: number): boolean {
    const from = chunk * this.#chunkSize;
    return start <= from && end >= Math.min(from + this.#chunkSize, file.size);
  }

  /** Copies that part of a write into a dirty chunk which falls into it. */
  #fill(dirty: DirtyChunk, start: number, end: number, from: Region, source: number): void {
    const origin = dirty.chunk * this.#chunkSize;
    const first = Math.max(start, origin);
    const behind = Math.min(end, origin + this.#chunkSize);
    from.bytes.copy(this.#parts.pool.bytes, dirty.offset + first - origin, source + first, source + behind);
    const written = sectorBits(Math.floor((first - origin) / SECTOR_SIZE), Math.ceil((behind - origin) / SECTOR_SIZE));
    this.#parts.dirty.setHoles(dirty, dirty.holes & ~written);
  }

  /** Makes a range within the size read as zeros. */
  #clear(file: LiveFile, start: number, end: number): void {
    const { dirty, pending } = this.#parts;
    const first = Math.ceil(start / this.#chunkSize);
    // Nothing lies behind the end of a file: its last chunk is as good as whole.
    const behind = end === file.size ? Math.ceil(end / this.#chunkSize) : Math.floor(end / this.#chunkSize);
    const head = start < first * this.#chunkSize ? this.#openHeld(file, first - 1) : undefined;
    const tail = end > behind * this.#chunkSize && behind >= first ? this.#openHeld(file, behind) : undefined;
    if (first < behind) {
      dirty.clear(file, first, behind);
      pending.addHoles(file, first, behind);
    }
    for (const part of [head, tail])
      if (part !== undefined) this.#zero(part, start, end === file.size ? Infinity : end);
  }

  /** Makes a chunk dirty, if it holds anything. */
  #openHeld(file: LiveFile, chunk: number): DirtyChunk | undefined {
    const { dirty, chunks } = this.#parts;
    if (file.dirty?.has(chunk) !== true && !chunks.holds(file, chunk)) return undefined;
    return dirty.open(file, chunk, false);
  }

  /** Zeros that part of a range which falls into a dirty chunk; whole sectors become holes, and a chunk of nothing else is none. */
  #zero(part: DirtyChunk, start: number, end: number): void {
    const { dirty, geometry, pending, pool } = this.#parts;
    const origin = part.chunk * this.#chunkSize;
    const first = Math.max(0, start - origin);
    const behind = Math.min(this.#chunkSize, end - origin);
    pool.bytes.fill(0, part.offset + first, part.offset + behind);
    const cleared = sectorBits(Math.ceil(first / SECTOR_SIZE), Math.floor(behind / SECTOR_SIZE));
    dirty.setHoles(part, part.holes | cleared);
    if (part.holes !== geometry.holeMask) return;
    dirty.clear(part.file, part.chunk, part.chunk + 1);
    pending.addHoles(part.file, part.chunk, part.chunk + 1);
  }
}

/** @throws FileError EFBIG */
function checkSize(size: number): void {
  if (!Number.isSafeInteger(size)) throw FileError.of('EFBIG');
}

/** The bits of the sectors from `first` to before `end` of a chunk. */
function sectorBits(first: number, end: number): number {
  return first < end ? 2 ** end - 2 ** first : 0;
}
