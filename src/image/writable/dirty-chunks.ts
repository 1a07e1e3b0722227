import type { Geometry } from '../../format/geometry.ts';
import type { ChunkPool } from './chunk-pool.ts';
import type { ContentReader } from './content-reader.ts';
import type { FileChunks } from './file-chunks.ts';
import type { LiveFile } from './live-inode.ts';
import type { ObjectAppender } from './object-appender.ts';
import type { PendingContents } from './pending-contents.ts';
import { Placements } from './placements.ts';

/** A file chunk of which only a part was written: its plaintext, until it is stored. Hole sectors are zeros. */
export interface DirtyChunk {
  readonly file: LiveFile;
  readonly chunk: number;
  /** Of its first byte in the pool. */
  readonly offset: number;
  /** Bit s set: nothing was written to sector s. */
  holes: number;
}

/** How much of the pool is stored when it is full. */
const EVICTED_PART = 4;

/** The dirty chunks of all files. What becomes one is stored nowhere else from then on. */
export class DirtyChunks {
  readonly #pool: ChunkPool;
  readonly #geometry: Geometry;
  readonly #chunks: FileChunks;
  readonly #reader: ContentReader;
  readonly #appender: ObjectAppender;
  readonly #pending: PendingContents;
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
  ) {
    this.#pool = pool;
    this.#geometry = geometry;
    this.#chunks = chunks;
    this.#reader = reader;
    this.#appender = appender;
    this.#pending = pending;
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
    let holes = holeMask;
    if (!isOverwritten && this.#chunks.holds(file, chunk)) {
      holes = this.#chunks.holes(file, chunk);
      try {
        const start = chunk * chunkSize;
        this.#reader.readStored(file, start, start + chunkSize, this.#pool.region, offset);
      } catch (error) {
        this.#pool.giveBack(offset);
        throw error;
      }
    }
    this.#chunks.clear(file, chunk, chunk + 1);
    const made = { file, chunk, offset, holes };
    file.dataBytes += this.#chunks.dataBytes(holes);
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

  /** Forgets the dirty chunks of a file from `first` to before `end`; nothing is there then. */
  discard(file: LiveFile, first: number, end: number): void {
    for (const dirty of file.dirty?.values() ?? []) {
      if (dirty.chunk < first || dirty.chunk >= end) continue;
      file.dataBytes -= this.#chunks.dataBytes(dirty.holes);
      this.#forget(dirty);
    }
  }

  /** Stores all of them. @throws CkptfsError `io`: some or all are still dirty */
  store(): void {
    this.#store([...this.#all]);
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
    this.#appender.append(this.#placements, dirty.length, () => {
      for (const { offset, holes } of dirty) this.#appender.add(this.#pool.region, offset, holes);
    });
    for (const [at, one] of dirty.entries()) {
      const { file, chunk, holes } = one;
      file.dataBytes -= this.#chunks.dataBytes(holes);
      this.#forget(one);
      this.#chunks.place(file, chunk, this.#placements.object(at), this.#placements.chunk(at), holes);
      this.#pending.addPlaced(file, chunk, 1);
    }
  }

  #forget(dirty: DirtyChunk): void {
    const { file, chunk, offset } = dirty;
    file.dirty?.delete(chunk);
    if (file.dirty?.size === 0) file.dirty = undefined;
    this.#all.delete(dirty);
    this.#pool.giveBack(offset);
  }
}
