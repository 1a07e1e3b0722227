import type { Geometry } from '../../../format/geometry.ts';
import type { FileChunks } from '../model/file-chunks.ts';
import type { LiveFile } from '../model/live-inode.ts';
import type { PendingContents } from '../model/pending-contents.ts';
import { Placements } from '../model/placements.ts';
import type { ObjectAppender } from '../objects/object-appender.ts';
import type { ChunkPool } from './chunk-pool.ts';
import type { ContentReader } from './content-reader.ts';
import type { RefusedContents } from './refused-contents.ts';

/** A file chunk of which only a part was written: its plaintext, until it is stored. Hole sectors are zeros. */
export interface DirtyChunk {
  readonly file: LiveFile;
  readonly chunk: number;
  /** Of its first byte in the pool. */
  readonly offset: number;
  /** Bit s set: nothing was written to sector s. */
  holes: number;
  /** Bytes of the sectors, no holes, of what is stored at the file chunk: this chunk hides it. */
  hiddenBytes: number;
  /** Whether what it hides goes beyond the end of the file, which was cut meanwhile. */
  hidesCut: boolean;
}

/** How much of the pool is stored when it is full. */
const EVICTED_PART = 4;

/**
 * The dirty chunks of all files. What is stored in the place of one stays there, hidden, until the dirty chunk itself is stored: if
 * that never succeeds, the file still has what it had.
 */
export class DirtyChunks {
  readonly #pool: ChunkPool;
  readonly #geometry: Geometry;
  readonly #chunks: FileChunks;
  readonly #reader: ContentReader;
  readonly #appender: ObjectAppender;
  readonly #pending: PendingContents;
  readonly #refused: RefusedContents;
  readonly #placements = new Placements();
  /** Those opened last are last. */
  readonly #all = new Set<DirtyChunk>();

  constructor(
    pool: ChunkPool,
    geometry: Geometry,
    chunks: FileChunks,
    reader: ContentReader,
    appender: ObjectAppender,
    pending: PendingContents,
    refused: RefusedContents,
  ) {
    this.#pool = pool;
    this.#geometry = geometry;
    this.#chunks = chunks;
    this.#reader = reader;
    this.#appender = appender;
    this.#pending = pending;
    this.#refused = refused;
  }

  /** What storing all of them takes at most. */
  get bytes(): number {
    return this.#all.size * this.#geometry.chunkSize;
  }

  /**
   * Makes a file chunk dirty, if it is not, as it is; the one opened before this one stays open.
   * @param isOverwritten whether all of it is about to be overwritten that lies within the size: then it is not read
   * @throws CkptfsError `io`, `damaged`: the chunk is as it was
   */
  open(file: LiveFile, chunk: number, isOverwritten: boolean): DirtyChunk {
    const known = file.dirty?.get(chunk);
    if (known !== undefined) {
      this.#all.delete(known);
      this.#all.add(known);
      return known;
    }
    const offset = this.#room();
    const { chunkSize, holeMask } = this.#geometry;
    const isStored = this.#chunks.holds(file, chunk);
    const storedHoles = isStored ? this.#chunks.holes(file, chunk) : holeMask;
    let holes = holeMask;
    if (!isOverwritten && isStored) {
      holes = storedHoles;
      try {
        const start = chunk * chunkSize;
        this.#reader.readStored(file, start, start + chunkSize, this.#pool.region, offset);
      } catch (error) {
        this.#pool.giveBack(offset);
        throw error;
      }
    }
    const made = { file, chunk, offset, holes, hiddenBytes: this.#chunks.dataBytes(storedHoles), hidesCut: false };
    file.dataBytes += this.#chunks.dataBytes(holes) - made.hiddenBytes;
    file.dirty ??= new Map();
    file.dirty.set(chunk, made);
    this.#all.add(made);
    return made;
  }

  /** Says which sectors of a dirty chunk hold nothing now. */
  setHoles(dirty: DirtyChunk, holes: number): void {
    dirty.file.dataBytes += this.#chunks.dataBytes(holes) - this.#chunks.dataBytes(dirty.holes);
    dirty.holes = holes;
  }

  /** Forgets the dirty chunks of a file from `first` to before `end`, and takes away what is stored there. */
  clear(file: LiveFile, first: number, end: number): void {
    for (const dirty of file.dirty?.values() ?? []) {
      if (dirty.chunk >= first && dirty.chunk < end) this.#forget(dirty);
    }
    this.#chunks.clear(file, first, end);
  }

  /**
   * To be called when a file has got a smaller size. What the dirty chunk at its end hides counts up to that: all of it that is
   * left of the file, should the chunk never be stored.
   */
  cut(file: LiveFile): void {
    const dirty = this.#atEndOf(file);
    if (dirty === undefined || !this.#chunks.holds(file, dirty.chunk)) return;
    const { dataBytes } = file;
    this.#chunks.trim(file);
    dirty.hiddenBytes -= dataBytes - file.dataBytes;
    file.dataBytes = dataBytes;
    dirty.hidesCut = true;
  }

  /**
   * To be called before a file gets a larger size: what it was cut by must not come back with it.
   * @throws CkptfsError `io`: as {@link store}
   */
  prepareGrowth(file: LiveFile): void {
    const dirty = this.#atEndOf(file);
    if (dirty?.hidesCut === true) this.#store([dirty]);
  }

  /** The files that have any. */
  get files(): ReadonlySet<LiveFile> {
    return new Set([...this.#all].map(({ file }) => file));
  }

  /** Stores all of them. @throws CkptfsError `io`: all are still dirty, and their files marked as lost */
  store(): void {
    this.#store([...this.#all]);
  }

  #atEndOf(file: LiveFile): DirtyChunk | undefined {
    return file.dirty?.get(Math.floor(file.size / this.#geometry.chunkSize));
  }

  #room(): number {
    const offset = this.#pool.take();
    if (offset !== undefined) return offset;
    const oldest = [...this.#all].slice(0, Math.ceil(this.#all.size / EVICTED_PART));
    this.#store(oldest);
    return this.#room();
  }

  #store(dirty: DirtyChunk[]): void {
    if (dirty.length === 0) return;
    // By file and chunk, so that neighbours come to lie beside each other.
    dirty.sort((a, b) => a.file.number - b.file.number || a.chunk - b.chunk);
    try {
      this.#appender.append(this.#placements, dirty.length, () => {
        for (const { offset, holes } of dirty) this.#appender.add(this.#pool.region, offset, holes);
      });
    } catch (error) {
      for (const { file } of dirty) this.#refused.addDirty(file);
      throw error;
    }
    for (const [at, one] of dirty.entries()) {
      const { file, chunk, holes } = one;
      this.#forget(one);
      this.#chunks.clear(file, chunk, chunk + 1);
      this.#chunks.place(file, chunk, this.#placements.object(at), this.#placements.chunk(at), holes);
      this.#pending.addPlaced(file, chunk, 1);
    }
  }

  #forget(dirty: DirtyChunk): void {
    const { file, chunk, offset, holes, hiddenBytes } = dirty;
    file.dataBytes += hiddenBytes - this.#chunks.dataBytes(holes);
    file.dirty?.delete(chunk);
    if (file.dirty?.size === 0) {
      file.dirty = undefined;
      this.#refused.removeDirty(file);
    }
    this.#all.delete(dirty);
    this.#pool.giveBack(offset);
  }
}
