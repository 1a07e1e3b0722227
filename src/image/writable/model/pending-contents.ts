import { RECORD_SIZE } from '../../../format/geometry.ts';
import type { JournalEntry } from '../../../format/journal.ts';
import { ChunkRanges } from './chunk-ranges.ts';
import { inodeEntry } from './inode-entry.ts';
import type { LiveFile } from './live-inode.ts';
import { xattrsSize } from './xattr-list.ts';

/** More than an entry has besides records, attributes and a name. */
const ENTRY_SIZE = 64;

/** Gives what the journal is to be told of runs of chunks. */
export interface ChunkEntries {
  /** @param index of the object in the table @returns its number in the journal, and the records of the run */
  of(index: number, objectChunk: number, count: number): { readonly object: number; readonly records: Buffer };
}

/** What changed of the files' sizes, times and contents, and which inodes have gone, since the journal was told last. */
export class PendingContents {
  readonly #files = new Set<LiveFile>();
  #gone: number[] = [];
  #size = 0;

  /** About as many bytes as its entries take; never less. */
  get size(): number {
    return this.#size;
  }

  get files(): ReadonlySet<LiveFile> {
    return this.#files;
  }

  /** A file's size or metadata changed. */
  touch(file: LiveFile): void {
    if (this.#files.has(file)) return;
    this.#files.add(file);
    this.#size += ENTRY_SIZE + 8 * file.xattrs.length + xattrsSize(file.xattrs);
  }

  /** A run of file chunks was placed. */
  addPlaced(file: LiveFile, first: number, count: number): void {
    this.#addRange(file, first, first + count);
    this.#size += ENTRY_SIZE + count * RECORD_SIZE;
  }

  /** The file chunks from `first` to before `end` hold nothing any more. */
  addHoles(file: LiveFile, first: number, end: number): void {
    if (first >= end) return;
    this.#addRange(file, first, end);
    this.#size += ENTRY_SIZE;
  }

  /** An inode is no more. */
  addGone(inode: number): void {
    this.#gone.push(inode);
    this.#size += ENTRY_SIZE;
  }

  /** Nothing is to be told of a file any more. */
  forget(file: LiveFile): void {
    this.#files.delete(file);
    file.changed = undefined;
  }

  /** All of it, each file's inode before what it holds. */
  *entries(chunks: ChunkEntries): Generator<JournalEntry> {
    for (const file of this.#files) {
      yield inodeEntry(file);
      for (const [first, end] of file.changed?.ranges() ?? []) yield* contentEntries(file, first, end, chunks);
    }
    for (const inode of this.#gone) yield { kind: 'gone', inode };
  }

  /** The journal has all of it. */
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

/** What the file chunks from `first` to before `end` hold: runs of chunks, and runs of none. */
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
