import type { DirectoryInode, Extent, FileInode, MeetingInode, SymlinkInode } from './manifest.ts';

/** A regular file in the journal: other entries name its contents. */
export interface JournalFileInode extends Omit<FileInode, 'extents'> {
  /** The file was changed, and its writer has not closed it since. */
  readonly open: boolean;
  /** The store refused contents that were written to the file. */
  readonly lost: boolean;
}

export type JournalInode = JournalFileInode | DirectoryInode | SymlinkInode | MeetingInode;

/**
 * One change of an unsealed image's state (format.md §8). Inodes are numbered from 1, the root directory; objects from
 * 0, in the order of their `object` entries.
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

/** Names the seal that this journal continues. It is the first entry of frame 0, and occurs nowhere else. */
export interface BaseEntry {
  readonly kind: 'base';
  /** 0 when the image was never sealed. */
  readonly epoch: number;
}

/**
 * States that everything in earlier frames, and the object data that they name, was durable before this frame was
 * written.
 */
export interface BarrierEntry {
  readonly kind: 'barrier';
}

export interface JournalObject {
  readonly kind: 'object';
  /** 16 bytes. */
  readonly id: Buffer;
  /** 0 for an object begun now, to be filled by `chunks` entries. */
  readonly chunks: number;
  /** A SHA-256 of 32 bytes for each tag page; empty for an object begun now. */
  readonly digests: Buffer;
}

/** A new inode, or new metadata of a known one. */
export interface InodeEntry {
  readonly kind: 'inode';
  readonly inode: number;
  readonly value: JournalInode;
}

/** States that the inode has no name any more and is not open. */
export interface GoneEntry {
  readonly kind: 'gone';
  readonly inode: number;
}

/** Adds a name, or moves it to another inode. */
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

/** Appends extents to those of a file whose contents no other kind of entry has named. */
export interface ExtentsEntry {
  readonly kind: 'extents';
  readonly inode: number;
  /** `object` is the number of an `object` entry. */
  readonly extents: readonly Extent[];
}

/** Places a run of file chunks in a run of chunks of one object that was begun in this journal. */
export interface ChunksEntry {
  readonly kind: 'chunks';
  readonly inode: number;
  /** File chunk i has the chunkSize bytes from i × chunkSize on. */
  readonly fileChunk: number;
  readonly object: number;
  readonly objectChunk: number;
  /** A record for each chunk of the run (format.md §6). */
  readonly records: Buffer;
}

/** Makes a run of file chunks holes. */
export interface HolesEntry {
  readonly kind: 'holes';
  readonly inode: number;
  readonly fileChunk: number;
  readonly count: number;
}
