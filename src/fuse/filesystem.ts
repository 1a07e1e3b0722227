import type { Region } from '../base/native.ts';

/**
 * The one interface between a transport and a file system. Synchronous, one method per operation, nodes named by number
 * (the root is 1). A method that fails throws an {@link Errno}; anything else it throws becomes EIO. A transport knows
 * nothing of images; an implementation knows nothing of bytes on /dev/fuse. An operation that changes something and that
 * the file system does not have is answered with EROFS by the transport.
 */
export interface FileSystem {
  /** True when nothing ever changes: the transport lets the kernel cache names, attributes, listings and data for ever. */
  readonly immutable: boolean;
  /** @param name raw bytes, without '/' or NUL. Throws ENOENT, ENOTDIR. */
  lookup(parent: number, name: Uint8Array): Attributes;
  /** Throws ENOENT for a number that is no node. */
  getattr(node: number): Attributes;
  /** Throws EINVAL when the node is no symbolic link. */
  readlink(node: number): Uint8Array;
  /**
   * Reads into `out` at `outOffset` and returns the number of bytes: `length`, or fewer only because the file ends there.
   * Throws EISDIR; EIO when stored bytes fail authentication, in which case `out` holds nothing of them.
   */
  read(node: number, offset: number, length: number, out: Region, outOffset: number): number;
  /**
   * The entry at a position of a directory, or undefined past its end. Position 0 is ".", 1 is "..", then the children in
   * a fixed order, so a position is a seekdir cookie that stays valid. Throws ENOTDIR.
   */
  entryAt(directory: number, position: number): DirectoryEntry | undefined;
  statfs(): Statistics;
  /** Throws ENODATA. */
  getxattr(node: number, name: Uint8Array): Uint8Array;
  listxattr(node: number): readonly Uint8Array[];
  /** Next data or hole at or after `offset` (lseek(2) SEEK_DATA, SEEK_HOLE). Throws ENXIO at or past the end of the file. */
  seek(node: number, offset: number, whence: 'data' | 'hole'): number;
}

export interface Attributes {
  readonly node: number;
  /** Type and permission bits as in st_mode. */
  readonly mode: number;
  /** Bytes. */
  readonly size: number;
  /** Of 512 bytes, as in st_blocks: what is not a hole. */
  readonly blocks: number;
  readonly links: number;
  readonly uid: number;
  readonly gid: number;
  /** Seconds since 1970, may be negative. Also served as atime and ctime. */
  readonly mtimeSeconds: number;
  readonly mtimeNanoseconds: number;
}

export interface DirectoryEntry {
  readonly name: Uint8Array;
  readonly attributes: Attributes;
}

/** As in statvfs(3); sizes in blocks of `blockSize` bytes. */
export interface Statistics {
  readonly blockSize: number;
  readonly blocks: number;
  readonly freeBlocks: number;
  readonly files: number;
  readonly freeFiles: number;
  readonly nameMax: number;
}

const errnoNumbers = {
  EPERM: 1,
  ENOENT: 2,
  EINTR: 4,
  EIO: 5,
  EAGAIN: 11,
  EACCES: 13,
  EEXIST: 17,
  ENODEV: 19,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  EROFS: 30,
  ERANGE: 34,
  ENAMETOOLONG: 36,
  ENOSYS: 38,
  ENODATA: 61,
  EOVERFLOW: 75,
  EOPNOTSUPP: 95,
  ENOTCONN: 107,
  ENXIO: 6,
} as const;

type ErrnoName = keyof typeof errnoNumbers;

/** A failed file operation. One instance per errno, made once: throwing one costs no stack trace. */
export class Errno extends Error {
  readonly errno: number;
  readonly code: ErrnoName;

  private constructor(code: ErrnoName) {
    const limit = Error.stackTraceLimit;
    Error.stackTraceLimit = 0;
    super(code);
    Error.stackTraceLimit = limit;
    this.code = code;
    this.errno = errnoNumbers[code];
  }

  static readonly #all = new Map<ErrnoName, Errno>();

  static of(code: ErrnoName): Errno {
    const known = Errno.#all.get(code);
    if (known !== undefined) return known;
    const made = new Errno(code);
    Errno.#all.set(code, made);
    return made;
  }
}
