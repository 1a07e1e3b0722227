import type { Time } from '../../../base/time.ts';
import type { Extent } from '../../../format/manifest.ts';
import type { XattrList } from '../../../format/xattrs.ts';
import { Children } from './children.ts';
import type { ChunkMap } from './chunk-map.ts';
import type { ChunkRanges } from './chunk-ranges.ts';

/** The metadata that all inodes of a writable image have. */
export interface LiveMetadata {
  /** Permission bits. */
  mode: number;
  uid: number;
  gid: number;
  atime: Time;
  mtime: Time;
  ctime: Time;
  xattrs: XattrList;
}

abstract class LiveBase implements LiveMetadata {
  /** Never given to another inode. */
  readonly number: number;
  mode: number;
  uid: number;
  gid: number;
  atime: Time;
  mtime: Time;
  ctime: Time;
  xattrs: XattrList;
  /** How many names lead to it. */
  names = 0;

  constructor(number: number, metadata: LiveMetadata) {
    this.number = number;
    this.mode = metadata.mode;
    this.uid = metadata.uid;
    this.gid = metadata.gid;
    this.atime = metadata.atime;
    this.mtime = metadata.mtime;
    this.ctime = metadata.ctime;
    this.xattrs = metadata.xattrs;
  }

  /** The number of links, as in st_nlink. */
  get links(): number {
    return this.names;
  }
}

/**
 * A regular file. Each of its chunks is in one of three layers: in `dirty`, which hides the others; else in `map`; else
 * in `base`. No chunk is in both `map` and `base`.
 */
export class LiveFile extends LiveBase {
  readonly type = 'file';
  /** Bytes. The rest of its last sector is stored as zeros, and nothing is stored after that. */
  size = 0;
  /** Whether it was changed and its writer has not closed it since. */
  open = false;
  /** Whether the store refused contents that were written to it. */
  lost = false;
  /** Bytes in sectors that are not holes. */
  dataBytes = 0;
  /** The extents that a seal left, as in a manifest, but `object` is an index into the image's live objects. */
  base: Extent[] = [];
  /** The places of chunks that were written since. */
  map: ChunkMap | undefined;
  /** The chunks whose plaintext is in memory and not stored yet. */
  dirty: Map<number, DirtyChunk> | undefined;
  /** The chunks whose places no frame of the journal has yet. */
  changed: ChunkRanges | undefined;
}

/** The plaintext of a file chunk of which only a part was written, until it is stored. Hole sectors are zeros. */
export interface DirtyChunk {
  readonly file: LiveFile;
  readonly chunk: number;
  /** Offset of its first byte in the pool. */
  readonly offset: number;
  /** Bit s is set when nothing was written to sector s. */
  holes: number;
  /** Data bytes of what is stored at the file chunk, which this chunk hides. */
  hiddenBytes: number;
  /** Whether what it hides goes beyond the end of the file, which was cut since. */
  hidesCut: boolean;
}

export class LiveDirectory extends LiveBase {
  readonly type = 'directory';
  readonly children = new Children();
  /** Inode number of the directory that it is in. The root is in itself. */
  parent: number;
  subdirectories = 0;

  constructor(number: number, metadata: LiveMetadata) {
    super(number, metadata);
    this.parent = number;
  }

  override get links(): number {
    return 2 + this.subdirectories;
  }
}

export class LiveSymlink extends LiveBase {
  readonly type = 'symlink';
  readonly target: Buffer;

  constructor(number: number, metadata: LiveMetadata, target: Buffer) {
    super(number, metadata);
    this.target = target;
  }
}

/** A FIFO or a socket. */
export class LiveMeeting extends LiveBase {
  readonly type: 'fifo' | 'socket';

  constructor(type: 'fifo' | 'socket', number: number, metadata: LiveMetadata) {
    super(number, metadata);
    this.type = type;
  }
}

export type LiveInode = LiveFile | LiveDirectory | LiveSymlink | LiveMeeting;
