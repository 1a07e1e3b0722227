import type { DirectoryInode, Extent, FileInode, MeetingInode, SymlinkInode } from './manifest.ts';

/** A regular file as the journal has it: what it holds is named by entries of its own. */
export interface JournalFileInode extends Omit<FileInode, 'extents'> {
  /** The file was changed, and its writer has not closed it since. */
  readonly open: boolean;
  /** The store refused contents that were written to the file. */
  readonly lost: boolean;
}

export type JournalInode = JournalFileInode | DirectoryInode | SymlinkInode | MeetingInode;

/**
 * One change of an unsealed image's state (format.md §8). Inodes are numbers from 1, the root directory; objects are numbered from 0 in
 * the order of their `object` entries.
 */
export type JournalEntry =
  | BaseEntry
  | BarrierEntry
  | JournalObject
  | InodeEntry
  | GoneEntry
  | NameEntry
  | UnnameEntry
  | ExtentsEntry
  | ChunksEntry
  | HolesEntry;

/** Of which seal this is the continuation. The first entry of frame 0 and nowhere else. */
export interface BaseEntry {
  readonly kind: 'base';
  /** 0 when the image was never sealed. */
  readonly epoch: number;
}

/** Everything in earlier frames, and the object data they name, was durable before this frame was written. */
export interface BarrierEntry {
  readonly kind: 'barrier';
}

export interface JournalObject {
  readonly kind: 'object';
  /** 16 bytes. */
  readonly id: Buffer;
  /** 0 for an object begun now, to be filled by `chunks` entries. */
  readonly chunks: number;
  /** 32 bytes of SHA-256 for each tag page; none for an object begun now. */
  readonly digests: Buffer;
}

/** A new inode, or new metadata of a known one. */
export interface InodeEntry {
  readonly kind: 'inode';
  readonly inode: number;
  readonly value: JournalInode;
}

/** The inode has no name any more and is not open. */
export interface GoneEntry {
  readonly kind: 'gone';
  readonly inode: number;
}

/** Puts a name, or makes it another inode's. */
export interface NameEntry {
  readonly kind: 'name';
  readonly parent: number;
  readonly inode: number;
  readonly name: Buffer;
}

export interface UnnameEntry {
  readonly kind: 'unname';
  readonly parent: number;
  readonly name: Buffer;
}

/** Appended to the extents of a file whose content was not named in another way. */
export interface ExtentsEntry {
  readonly kind: 'extents';
  readonly inode: number;
  /** `object` is the number of an `object` entry. */
  readonly extents: readonly Extent[];
}

/** A run of file chunks that lie in a run of chunks of one object begun in this journal. */
export interface ChunksEntry {
  readonly kind: 'chunks';
  readonly inode: number;
  /** File chunk i is the chunkSize bytes from i × chunkSize on. */
  readonly fileChunk: number;
  readonly object: number;
  readonly objectChunk: number;
  /** 32 bytes for each chunk of the run (format.md §6). */
  readonly records: Buffer;
}

/** A run of file chunks that hold nothing. */
export interface HolesEntry {
  readonly kind: 'holes';
  readonly inode: number;
  readonly fileChunk: number;
  readonly count: number;
}
