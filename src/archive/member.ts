import type { Time } from '../base/time.ts';
import type { XattrList } from '../format/xattrs.ts';
import type { DataRange } from './sparse-map.ts';

/** One member of an archive, of which everything is checked that needs no other member. */
export interface Member {
  /** As the archive has it, for messages: raw bytes. */
  readonly name: Buffer;
  /** The names from the root down, without "." and empty ones. The root has none. */
  readonly path: readonly Buffer[];
  readonly type: 'file' | 'directory' | 'symlink' | 'link' | 'fifo' | 'device';
  /** Permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: Time;
  /** That of the archive, or the mtime. */
  readonly atime: Time;
  /** What a symbolic link leads to, and what name a hard link gives another name; raw bytes. */
  readonly target: Buffer;
  /** Bytes of a file, with its holes; 0 for anything else. */
  readonly size: number;
  /** Where a file has the bytes that the archive stores. */
  readonly ranges: readonly DataRange[];
  /** Those that an image keeps. */
  readonly xattrs: XattrList;
  /** Whether the archive has attributes of it that an image does not keep. */
  readonly hasOtherAttributes: boolean;
}
