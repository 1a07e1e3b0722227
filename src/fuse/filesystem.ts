import { type ErrnoName, errnoNumber } from '../base/errno.ts';
import type { Region } from '../base/native.ts';

/**
 * The one interface between a transport and a file system. Synchronous, one method per operation, nodes named by number
 * (the root is 1). A method that fails throws an {@link Errno}; anything else it throws becomes EIO. A transport knows
 * nothing of images; an implementation knows nothing of bytes on /dev/fuse. Where nothing can be written, operations that
 * change something are answered with EROFS by the transport.
 *
 * Nothing changes but through the transport, so it lets the kernel keep names (also names that do not exist), attributes,
 * listings and data for ever.
 */
export interface FileSystem {
  /** True when nothing ever changes; false: this is a {@link WritableFileSystem}. */
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
   * The entry that follows the one with this cookie, or undefined after the last. Cookie 0 is before all; first is "." with
   * cookie 1, then ".." with cookie 2, then the children, each with a cookie of its own. A child keeps its cookie as long as its
   * name is in the directory, and the children that stay keep their order: a listing goes on from any cookie, also one whose
   * child is gone. What was added later comes before what was there: so a listing never meets names made while it is under way,
   * without which a program that renames what it lists would never end. Throws ENOENT, ENOTDIR.
   */
  entryAfter(directory: number, cookie: number): DirectoryEntry | undefined;
  statfs(): Statistics;
  /** Throws ENODATA; ENOSYS where nothing has any: the kernel then asks no more, and says EOPNOTSUPP by itself. */
  getxattr(node: number, name: Uint8Array): Uint8Array;
  listxattr(node: number): readonly Uint8Array[];
  /** Next data or hole at or after `offset` (lseek(2) SEEK_DATA, SEEK_HOLE). Throws ENXIO at or past the end of the file. */
  seek(node: number, offset: number, whence: 'data' | 'hole'): number;
}

/**
 * A file system that can be changed, by one thread. The kernel checks permissions (`default_permissions`) and takes the umask off;
 * everything else is up to the implementation.
 *
 * A node lives as long as it has a name or the kernel remembers it ({@link remember}): there are no file handles, so that is
 * how a file without a name stays readable and writable while it is open. A node's number is never given to another node.
 *
 * Attributes change only with what changes the node, `blocks` included: at a flush, say, the kernel would not notice. Reading changes
 * no atime. Like on other file systems a change of contents is a new mtime and ctime, also of a directory when a name comes or goes, and
 * any other change a new ctime, also of a node that gets, changes or loses a name.
 *
 * Names and other bytes are the request's own: whoever keeps them copies them.
 */
export interface WritableFileSystem extends FileSystem {
  readonly immutable: false;
  /**
   * Makes a regular file. Whatever is made belongs to the caller; but where the parent has the set-group-id bit it has the parent's
   * group, and a directory that bit as well. Throws EEXIST, ENOENT (also for a parent that was removed), ENOTDIR, ENOSPC.
   * @param mode permission bits
   */
  create(parent: number, name: Uint8Array, mode: number, caller: Caller): Attributes;
  /** Makes a FIFO or a socket. See {@link create}. */
  mknod(parent: number, name: Uint8Array, type: MeetingType, mode: number, caller: Caller): Attributes;
  /** See {@link create}. */
  mkdir(parent: number, name: Uint8Array, mode: number, caller: Caller): Attributes;
  /** See {@link create}. @param target 1 to 4095 bytes without NUL */
  symlink(parent: number, name: Uint8Array, target: Uint8Array, caller: Caller): Attributes;
  /** One more name for a file or symbolic link. Throws EEXIST, ENOENT, ENOTDIR, EPERM for a directory, EMLINK. */
  link(node: number, newParent: number, newName: Uint8Array): Attributes;
  /** Throws ENOENT, ENOTDIR, EISDIR. */
  unlink(parent: number, name: Uint8Array): void;
  /** Throws ENOENT, ENOTDIR, ENOTEMPTY. */
  rmdir(parent: number, name: Uint8Array): void;
  /**
   * As renameat2(2): `replace` takes the new name from what had it, `no-replace` throws EEXIST instead, `exchange` gives each the
   * other's name. Nothing happens when both names are of one node. Throws ENOENT, ENOTDIR, EISDIR, ENOTEMPTY, and EINVAL for a directory
   * into itself.
   */
  rename(parent: number, name: Uint8Array, newParent: number, newName: Uint8Array, how: RenameMode): void;
  /**
   * Changes what is given, and in any case the ctime. A size, even the one it has, is also a new mtime unless that is given too; bytes
   * behind the old end read as zeros. Throws ENOENT, EISDIR and EINVAL for the size of what is no file, EFBIG, ENOSPC.
   */
  setattr(node: number, changes: AttributeChanges): Attributes;
  /**
   * Writes all bytes or throws: ENOSPC, EIO, EFBIG, EISDIR, EINVAL. Or accepts them only: {@link settle} then takes them from where they are, and
   * what fails there is thrown by the next operation on the file's contents and by every write, flush and sync until it succeeds.
   * @param length at least 1; with `offset` below 2^53
   * @param killPrivileges see {@link AttributeChanges}
   */
  write(node: number, offset: number, length: number, from: Region, fromOffset: number, killPrivileges: boolean): void;
  /**
   * As fallocate(2). Afterwards the range is data or hole that reads as before (`extend`, `keep-size`) or as zeros (the others). The file's
   * size grows to the range's end with `extend` and `zero`, else it stays; mtime and ctime are new in any case. Throws ENOSPC, EFBIG, EISDIR, EINVAL, EIO.
   * @param length at least 1; with `offset` below 2^53
   * @param killPrivileges see {@link AttributeChanges}
   */
  allocate(node: number, offset: number, length: number, how: AllocateMode, killPrivileges: boolean): void;
  /**
   * `create` throws EEXIST where there is one, `replace` ENODATA where there is none. Throws ENOENT, ENOSPC, E2BIG; EOPNOTSUPP for a name
   * that does not begin with `user.`: others mean something to the kernel (capabilities, access lists), which nobody here would honour.
   */
  setxattr(node: number, name: Uint8Array, value: Uint8Array, how: 'any' | 'create' | 'replace'): void;
  /** Throws ENOENT, ENODATA. */
  removexattr(node: number, name: Uint8Array): void;
  /** close(2): from now on what was written to the file survives the end of this process. Throws what writing throws. */
  flush(node: number): void;
  /** fsync(2), of a directory too: from now on the node as it is survives loss of power. Throws what writing throws. */
  sync(node: number): void;
  /** Does what was only accepted. Called when the request was answered, before its memory is used for another. Never throws an Errno. */
  settle(): void;
  /** The kernel was told of a node once more, and uses its number until it says {@link forget} as often. */
  remember(node: number): void;
  /**
   * The kernel takes back `times` of its {@link remember}s. Never throws an Errno: a number that is no node is nothing to forget, more
   * times than it was told are all of them, and the root is never forgotten. At the end of a mount the kernel forgets without a word.
   */
  forget(node: number, times: number): void;
}

export function isWritable(fileSystem: FileSystem): fileSystem is WritableFileSystem {
  return !fileSystem.immutable;
}

/** On whose behalf something is made. */
export interface Caller {
  readonly uid: number;
  readonly gid: number;
}

/** What is no more than a place where processes meet: what goes through it, the kernel does. */
export type MeetingType = 'fifo' | 'socket';

export type RenameMode = 'replace' | 'no-replace' | 'exchange';

export type AllocateMode = 'extend' | 'keep-size' | 'punch-hole' | 'zero' | 'zero-keep-size';

/** What is not there stays as it is. */
export interface AttributeChanges {
  /** Permission bits. */
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  /** Bytes, below 2^53. */
  readonly size?: number;
  readonly atime?: Time | 'now';
  readonly mtime?: Time | 'now';
  /**
   * Take the set-user-id bit from the file, and from one that its group may execute the set-group-id bit: whoever changes it is not
   * allowed to leave them there. Not from a directory.
   */
  readonly killPrivileges?: boolean;
}

export interface Time {
  /** Since 1970, may be negative; beyond ±2^53 never. */
  readonly seconds: number;
  readonly nanoseconds: number;
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
  readonly atime: Time;
  readonly mtime: Time;
  readonly ctime: Time;
}

export interface DirectoryEntry {
  /** See {@link FileSystem.entryAfter}; below 2^53. */
  readonly cookie: number;
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
    this.errno = errnoNumber(code);
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
