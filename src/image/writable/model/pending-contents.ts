import type { Geometry } from '../../../format/geometry.ts';
import type { JournalEntry } from '../../../format/journal.ts';
import { ChunkRanges } from './chunk-ranges.ts';
import { inodeEntry } from './inode-entry.ts';
import type { LiveFile } from './live-inode.ts';
import { xattrsSize } from './xattr-list.ts';

/** Bytes of an entry at most, besides records, attributes and a name. */
const ENTRY_SIZE = 64;

/** Numbers objects for the journal, and finds the records of their chunks. */
export interface ChunkEntries {
  /** Returns the number that an object has in the journal, and the records of a run of its chunks. */
  of(index: number, objectChunk: number, count: number): { readonly object: number; readonly records: Buffer };
}

/** What has changed of the sizes, times and contents of files since the last frame, and which inodes were removed. */
export class PendingContents {
  readonly #files = new Set<LiveFile>();
  readonly #recordSize: number;
  #gone: number[] = [];
  #size = 0;

  constructor({ recordSize }: Geometry) {
    this.#recordSize = recordSize;
  }

  /** Bytes that its entries take at most, and not much more. */
  get size(): number {
    return this.#size;
  }

  get files(): ReadonlySet<LiveFile> {
    return this.#files;
  }

  /** Notes that the size or metadata of a file changed. */
  touch(file: LiveFile): void {
    if (this.#files.has(file)) return;
    this.#files.add(file);
    this.#size += ENTRY_SIZE + 8 * file.xattrs.length + xattrsSize(file.xattrs);
  }

  /** Notes that a run of file chunks has got new places. */
  addPlaced(file: LiveFile, first: number, count: number): void {
    this.#addRange(file, first, first + count);
    this.#size += ENTRY_SIZE + count * this.#recordSize;
  }

  /** Notes that the file chunks from `first` to before `end` hold nothing any more. */
  addHoles(file: LiveFile, first: number, end: number): void {
    if (first >= end) return;
    this.#addRange(file, first, end);
    this.#size += ENTRY_SIZE;
  }

  /** Notes that an inode was removed. */
  addGone(inode: number): void {
    this.#gone.push(inode);
    this.#size += ENTRY_SIZE;
  }

  /** Forgets the changes of a file that was removed. */
  forget(file: LiveFile): void {
    this.#files.delete(file);
    file.changed = undefined;
  }

  /** Yields the entries of all changes. The inode of a file comes before its contents. */
  *entries(chunks: ChunkEntries): Generator<JournalEntry> {
    for (const file of this.#files) {
      yield inodeEntry(file);
      for (const [first, end] of file.changed?.ranges() ?? []) yield* contentEntries(file, first, end, chunks);
    }
    for (const inode of this.#gone) yield { kind: 'gone', inode };
  }

  /** Forgets all changes: a frame has them. */
  clear(): void {
    for (const file of this.#files) file.changed = undefined;
    this.#files.clear();
    this.#gone = [];
    this.#size = 0;
  }

  #addRange(file: LiveFile, first: number, end: number): void {
    this.touch(file);
    file.changed ??= new ChunkRanges();
    file.changed.add(first, end);
  }
}

/** Yields entries of what the file chunks from `first` to before `end` hold: runs of chunks, and holes between them. */
function* contentEntries(file: LiveFile, first: number, end: number, chunks: ChunkEntries): Generator<JournalEntry> {
  const inode = file.number;
  let next = first;
  for (const { fileChunk, object, objectChunk, count } of file.map?.runs(first, end) ?? []) {
    if (fileChunk > next) yield { kind: 'holes', inode, fileChunk: next, count: fileChunk - next };
    yield { kind: 'chunks', inode, fileChunk, objectChunk, ...chunks.of(object, objectChunk, count) };
    next = fileChunk + count;
  }
  if (end > next) yield { kind: 'holes', inode, fileChunk: next, count: end - next };
}
