import { invariant } from '../../../base/assert.ts';
import type { Geometry } from '../../../format/geometry.ts';
import type { FileChunks } from '../model/file-chunks.ts';
import type { DirtyChunk, LiveFile } from '../model/live-inode.ts';
import type { PendingContents } from '../model/pending-contents.ts';
import { Placements } from '../model/placements.ts';
import type { ObjectAppender } from '../objects/object-appender.ts';
import type { ChunkPool } from './chunk-pool.ts';
import type { ContentReader } from './content-reader.ts';
import type { RefusedContents } from './refused-contents.ts';

/** What {@link DirtyChunks} work on. */
export interface DirtyParts {
  readonly pool: ChunkPool;
  readonly geometry: Geometry;
  readonly chunks: FileChunks;
  readonly reader: ContentReader;
  readonly appender: ObjectAppender;
  readonly pending: PendingContents;
  readonly refused: RefusedContents;
}

/** When the pool is full, one in so many chunks is stored. */
const EVICTED_FRACTION = 4;

/**
 * The dirty chunks of all files. What a dirty chunk hides stays stored until the dirty chunk itself is (W13): if that
 * never succeeds, the file still has what it had.
 */
export class DirtyChunks {
  readonly #parts: DirtyParts;
  readonly #placements = new Placements();
  /** In the order in which they were opened last. */
  readonly #all = new Set<DirtyChunk>();

  constructor(parts: DirtyParts) {
    this.#parts = parts;
  }

  /** Bytes that storing all of them takes at most. */
  get bytes(): number {
    return this.#all.size * this.#parts.geometry.chunkSize;
  }

  /**
   * Makes a file chunk dirty, with the contents that it has, unless it is dirty already. The chunk that was opened
   * before this one stays dirty.
   * @param isOverwritten whether all of it that is within the size is about to be overwritten; it is not read then
   * @throws CkptfsError `io`, `damaged`: the chunk is as it was
   */
  open(file: LiveFile, chunk: number, isOverwritten: boolean): DirtyChunk {
    const known = file.dirty?.get(chunk);
    if (known !== undefined) {
      this.#all.delete(known);
      this.#all.add(known);
      return known;
    }
    const offset = this.#space();
    const { chunkSize, holeMask } = this.#parts.geometry;
    const isStored = this.#parts.chunks.holds(file, chunk);
    const storedHoles = isStored ? this.#parts.chunks.holes(file, chunk) : holeMask;
    let holes = holeMask;
    if (!isOverwritten && isStored) {
      holes = storedHoles;
      try {
        const start = chunk * chunkSize;
        this.#parts.reader.readStored(file, start, start + chunkSize, this.#parts.pool.region, offset);
      } catch (error) {
        this.#parts.pool.giveBack(offset);
        throw error;
      }
    }
    const made = {
      file,
      chunk,
      offset,
      holes,
      hiddenBytes: this.#parts.chunks.dataBytes(storedHoles),
      hidesCut: false,
    };
    file.dataBytes += this.#parts.chunks.dataBytes(holes) - made.hiddenBytes;
    file.dirty ??= new Map();
    file.dirty.set(chunk, made);
    this.#all.add(made);
    return made;
  }

  /** Sets which sectors of a dirty chunk are holes now. */
  setHoles(dirty: DirtyChunk, holes: number): void {
    dirty.file.dataBytes += this.#parts.chunks.dataBytes(holes) - this.#parts.chunks.dataBytes(dirty.holes);
    dirty.holes = holes;
  }

  /** Removes the file chunks from `first` to before `end`, dirty ones and stored ones. */
  clear(file: LiveFile, first: number, end: number): void {
    for (const dirty of file.dirty?.values() ?? []) {
      if (dirty.chunk >= first && dirty.chunk < end) this.#forget(dirty);
    }
    this.#parts.chunks.clear(file, first, end);
  }

  /**
   * Cuts what the dirty chunk at the end of a file hides, after the file has got a smaller size: should the chunk never
   * be stored, the file has what it had, up to that size.
   */
  cut(file: LiveFile): void {
    const dirty = this.#atEndOf(file);
    if (dirty === undefined || !this.#parts.chunks.holds(file, dirty.chunk)) return;
    const { dataBytes } = file;
    this.#parts.chunks.trim(file);
    dirty.hiddenBytes -= dataBytes - file.dataBytes;
    file.dataBytes = dataBytes;
    dirty.hidesCut = true;
  }

  /**
   * Stores what keeps a file from getting a larger size: what was cut off must not come back with it.
   * @throws CkptfsError `io`, as {@link store} does
   */
  prepareGrowth(file: LiveFile): void {
    const dirty = this.#atEndOf(file);
    if (dirty?.hidesCut === true) this.#store([dirty]);
  }

  /** The files that have dirty chunks. */
  get files(): ReadonlySet<LiveFile> {
    return new Set([...this.#all].map(({ file }) => file));
  }

  /** Stores all dirty chunks. @throws CkptfsError `io`: all are still dirty, and their files are marked as lost */
  store(): void {
    this.#store([...this.#all]);
  }

  #atEndOf(file: LiveFile): DirtyChunk | undefined {
    return file.dirty?.get(Math.floor(file.size / this.#parts.geometry.chunkSize));
  }

  /** Takes memory for one more chunk, if need be that of the chunks that were opened longest ago. */
  #space(): number {
    const offset = this.#parts.pool.take();
    if (offset !== undefined) return offset;
    const oldest = [...this.#all].slice(0, Math.ceil(this.#all.size / EVICTED_FRACTION));
    this.#store(oldest);
    return this.#space();
  }

  #store(dirty: DirtyChunk[]): void {
    if (dirty.length === 0) return;
    // Neighbours of a file get neighbouring places.
    dirty.sort((a, b) => a.file.number - b.file.number || a.chunk - b.chunk);
    try {
      this.#parts.appender.append(this.#placements, dirty.length, () => {
        for (const { offset, holes } of dirty) this.#parts.appender.add(this.#parts.pool.region, offset, holes);
      });
    } catch (error) {
      for (const { file } of dirty) this.#parts.refused.addDirty(file);
      throw error;
    }
    invariant(this.#placements.count === dirty.length, 'W3');
    for (const [index, stored] of dirty.entries()) {
      const { file, chunk, holes } = stored;
      this.#forget(stored);
      this.#parts.chunks.clear(file, chunk, chunk + 1);
      this.#parts.chunks.place(file, chunk, this.#placements.object(index), this.#placements.chunk(index), holes);
      this.#parts.pending.addPlaced(file, chunk, 1);
    }
  }

  #forget(dirty: DirtyChunk): void {
    const { file, chunk, offset, holes, hiddenBytes } = dirty;
    file.dataBytes += hiddenBytes - this.#parts.chunks.dataBytes(holes);
    file.dirty?.delete(chunk);
    if (file.dirty?.size === 0) {
      file.dirty = undefined;
      this.#parts.refused.removeDirty(file);
    }
    this.#all.delete(dirty);
    this.#parts.pool.giveBack(offset);
  }
}
