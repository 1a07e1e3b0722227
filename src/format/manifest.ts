import type { Time } from '../base/time.ts';
import type { XattrList } from './xattrs.ts';

/** The values of the sealed tree (format.md §5). Inode number n is `inodes[n - 1]`; the root directory is inode 1. */
export interface Manifest {
  /** 1 for the first seal. */
  readonly epoch: number;
  /** In strictly ascending order of id. */
  readonly objects: readonly ObjectEntry[];
  readonly inodes: readonly Inode[];
  /** In strictly ascending order of (parent, name). */
  readonly entries: readonly Entry[];
}

export interface ObjectEntry {
  /** 16 bytes. */
  readonly id: Buffer;
  readonly chunks: number;
  /** A SHA-256 of 32 bytes for each tag page, one after the other. */
  readonly digests: Buffer;
}

export interface InodeMetadata {
  /** Permission bits, at most 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** The last access. */
  readonly atime: Time;
  /** The last change of the contents. */
  readonly mtime: Time;
  /** The last change of contents or inode. */
  readonly ctime: Time;
  readonly xattrs: XattrList;
}

export interface FileInode extends InodeMetadata {
  readonly type: 'file';
  /** Bytes. */
  readonly size: number;
  /** In ascending order of fileOffset, not overlapping. A range that no extent covers is a hole. */
  readonly extents: readonly Extent[];
}

export interface DirectoryInode extends InodeMetadata {
  readonly type: 'directory';
}

export interface SymlinkInode extends InodeMetadata {
  readonly type: 'symlink';
  readonly target: Buffer;
}

/** A FIFO or socket: it has no contents and is a meeting place of processes. */
export interface MeetingInode extends InodeMetadata {
  readonly type: 'fifo' | 'socket';
}

export type Inode = FileInode | DirectoryInode | SymlinkInode | MeetingInode;

/**
 * States that `length` bytes of a file, from `fileOffset` on, are in the data space of an object, from `objectOffset`
 * on.
 */
export interface Extent {
  readonly fileOffset: number;
  /** Index into `Manifest.objects`. */
  readonly object: number;
  readonly objectOffset: number;
  readonly length: number;
}

export interface Entry {
  /** Inode number of a directory. */
  readonly parent: number;
  readonly inode: number;
  /** 1 to 255 bytes, any but NUL and '/'. */
  readonly name: Buffer;
}

export const ROOT_INODE = 1;
export const ID_SIZE = 16;
export const DIGEST_SIZE = 32;
export const MAX_XATTR_VALUE = 65536;
