import type { Region } from '../../base/linux/native.ts';
import type { RenameMode } from '../../base/names.ts';
import type { Time } from '../../base/time.ts';

/**
 * The one interface between a transport and a file system. It is synchronous, has one method per operation, and names
 * nodes by number (the root is 1). A method that fails throws an Errno; any other error becomes EIO. A
 * transport knows nothing of images, and an implementation knows nothing of bytes on /dev/fuse. For an immutable file
 * system the transport answers operations that change something with EROFS.
 *
 * Nothing changes except through the transport, so the transport lets the kernel cache names (also names that do not
 * exist), attributes, listings and data for ever.
 */
export interface FileSystem {
  /** True when nothing ever changes; false for a {@link WritableFileSystem}. */
  readonly immutable: boolean;
  /** Finds a name in a directory. @param name raw bytes, without '/' or NUL @throws Errno ENOENT, ENOTDIR */
  lookup(parent: number, name: Uint8Array): Attributes;
  /** Returns the attributes of a node. @throws Errno ENOENT when no node has this number */
  getattr(node: number): Attributes;
  /** Returns the target of a symbolic link. @throws Errno EINVAL when the node is not one */
  readlink(node: number): Uint8Array;
  /**
   * Reads into `out` at `outOffset` and returns the number of bytes: `length`, or fewer only because the file ends
   * there.
   * @throws Errno EISDIR; EIO when stored bytes fail authentication, and then `out` holds none of them
   */
  read(node: number, offset: number, length: number, out: Region, outOffset: number): number;
  /**
   * Decides at each open of a file for reading whether its reads pass the kernel's page cache by. Where it is
   * undefined, none do, and the kernel opens files without a request.
   * @param thread the thread that opens the file, as the pid namespace of the mount counts; 0 where it has no number
   * @throws Errno ENOENT
   */
  readonly opensDirect?: ((node: number, thread: number) => boolean) | undefined;
  /**
   * Returns the entry that follows the one with this cookie, or undefined after the last. Cookie 0 is before all
   * entries. The first entry is "." with cookie 1, the second ".." with cookie 2, and then come the children, each with
   * a cookie of its own. A child keeps its cookie as long as its name is in the directory, and the children that stay
   * keep their order, so a listing can continue from any cookie, also that of a removed child. A new child comes before
   * all older ones, so a listing never meets names that are made while it runs; otherwise a program that renames what
   * it lists would never end.
   * @throws Errno ENOENT, ENOTDIR
   */
  entryAfter(directory: number, cookie: number): DirectoryEntry | undefined;
  statfs(): Statistics;
  /**
   * Returns the value of an extended attribute.
   * @throws Errno ENODATA; ENOSYS when no node has any attribute: the kernel then asks no more and answers EOPNOTSUPP
   *   itself
   */
  getxattr(node: number, name: Uint8Array): Uint8Array;
  listxattr(node: number): readonly Uint8Array[];
  /**
   * Finds the next data or hole at or after `offset` (lseek(2) SEEK_DATA, SEEK_HOLE).
   * @throws Errno ENXIO at or past the end of the file
   */
  seek(node: number, offset: number, whence: 'data' | 'hole'): number;
}

/**
 * A file system that one thread can change. The kernel checks permissions (`default_permissions`) and applies the
 * umask; everything else is the implementation's task.
 *
 * A node lives as long as it has a name or its lookup count is above 0 ({@link addLookup}). There are no file handles,
 * so the lookup count is what keeps a file without a name readable and writable while it is open. A node's number is
 * never given to another node.
 *
 * Attributes, `blocks` included, change only in an operation that changes the node: the kernel would not notice a
 * change at a flush, for example. Reading changes no atime. As on other file systems, a change of contents sets mtime
 * and ctime, also of a directory when a name is added or removed; any other change sets the ctime, also of a node that
 * gets, changes or loses a name.
 *
 * Names and other byte arrays belong to the request: an implementation that keeps them copies them.
 */
export interface WritableFileSystem extends FileSystem {
  readonly immutable: false;
  /**
   * Makes a regular file. A new node belongs to the caller; but where the parent has the set-group-id bit, the node
   * gets the parent's group, and a directory that bit as well.
   * @param mode permission bits
   * @throws Errno EEXIST, ENOENT (also for a parent that was removed), ENOTDIR, ENOSPC
   */
  create(parent: number, name: Uint8Array, mode: number, caller: Caller): Attributes;
  /**
   * Decides for a file that was just made, and is open to be written, whether what is read and written through this
   * opening passes the kernel's page cache by.
   * @param thread as for {@link FileSystem.opensDirect}
   */
  createsDirect(name: Uint8Array, thread: number): boolean;
  /** Makes a FIFO or a socket, like {@link create}. */
  mknod(parent: number, name: Uint8Array, type: MeetingType, mode: number, caller: Caller): Attributes;
  /** Makes a directory, like {@link create}. */
  mkdir(parent: number, name: Uint8Array, mode: number, caller: Caller): Attributes;
  /** Makes a symbolic link, like {@link create}. @param target 1 to 4095 bytes without NUL */
  symlink(parent: number, name: Uint8Array, target: Uint8Array, caller: Caller): Attributes;
  /**
   * Gives a file or symbolic link one more name.
   * @throws Errno EEXIST, ENOENT, ENOTDIR, EMLINK; EPERM for a directory
   */
  link(node: number, newParent: number, newName: Uint8Array): Attributes;
  /** Removes a name of a node that is not a directory. @throws Errno ENOENT, ENOTDIR, EISDIR */
  unlink(parent: number, name: Uint8Array): void;
  /** Removes an empty directory. @throws Errno ENOENT, ENOTDIR, ENOTEMPTY */
  rmdir(parent: number, name: Uint8Array): void;
  /**
   * Renames like renameat2(2): `replace` takes the new name from the node that had it, `no-replace` throws EEXIST
   * instead, `exchange` gives each node the other's name. Does nothing when both names are of one node.
   * @throws Errno ENOENT, ENOTDIR, EISDIR, ENOTEMPTY; EINVAL for a directory into itself
   */
  rename(parent: number, name: Uint8Array, newParent: number, newName: Uint8Array, how: RenameMode): void;
  /**
   * Changes the given attributes, and in any case the ctime. A size, even the present one, also sets the mtime unless
   * that is given too; bytes past the old end read as zeros.
   * @throws Errno ENOENT, EFBIG, ENOSPC; EISDIR and EINVAL for the size of a node that is not a file
   */
  setattr(node: number, changes: AttributeChanges): Attributes;
  /**
   * Writes all bytes or throws. May defer the write: then {@link settle} reads the bytes from `from`, and an error
   * there is thrown by the next operation on the file's contents, and by every write, flush and sync until one
   * succeeds.
   * @param length at least 1; `offset` + `length` is below 2^53
   * @param killPrivileges see {@link AttributeChanges}
   * @throws Errno ENOSPC, EIO, EFBIG, EISDIR, EINVAL
   */
  write(node: number, offset: number, length: number, from: Region, fromOffset: number, killPrivileges: boolean): void;
  /**
   * Allocates like fallocate(2). Afterwards the range, data or hole, reads as before (`extend`, `keep-size`) or as
   * zeros (the other modes). With `extend` and `zero` the file's size grows to the range's end, otherwise it stays;
   * mtime and ctime are set in any case.
   * @param length at least 1; `offset` + `length` is below 2^53
   * @param killPrivileges see {@link AttributeChanges}
   * @throws Errno ENOSPC, EFBIG, EISDIR, EINVAL, EIO
   */
  allocate(node: number, offset: number, length: number, how: AllocateMode, killPrivileges: boolean): void;
  /**
   * Sets an extended attribute. `create` throws EEXIST for one that exists, `replace` ENODATA for one that does not.
   * @throws Errno ENOENT, ENOSPC, E2BIG; EOPNOTSUPP for a name that does not begin with `user.`: other names have a
   *   meaning to the kernel (capabilities, access lists) that ckptfs does not implement
   */
  setxattr(node: number, name: Uint8Array, value: Uint8Array, how: 'any' | 'create' | 'replace'): void;
  /** Removes an extended attribute. @throws Errno ENOENT, ENODATA */
  removexattr(node: number, name: Uint8Array): void;
  /**
   * Does what close(2) needs: what was written to the file then survives the end of this process. Throws what writing
   * throws.
   */
  flush(node: number): void;
  /**
   * Does what fsync(2) needs, also of a directory: the node then survives loss of power as it is. Throws what writing
   * throws.
   */
  sync(node: number): void;
  /**
   * Stores a write that was deferred. The transport calls it when the request was answered, before the request's memory
   * is used for another. Never throws an Errno.
   */
  settle(): void;
  /**
   * Adds 1 to a node's lookup count: the kernel was given the number and uses it until it sends FORGET ({@link
   * forget}).
   */
  addLookup(node: number): void;
  /**
   * Subtracts `lookups` from a node's lookup count, as FUSE_FORGET asks for. Never throws an Errno: a number that no
   * node has is ignored, the count stops at 0, and the root stays. At the end of a mount the kernel sends no FORGET.
   */
  forget(node: number, lookups: number): void;
}

export function isWritable(fileSystem: FileSystem): fileSystem is WritableFileSystem {
  return !fileSystem.immutable;
}

/** The user and group on whose behalf a node is made. */
export interface Caller {
  readonly uid: number;
  readonly gid: number;
}

/** A node that is only a meeting place of processes: the kernel passes the data. */
export type MeetingType = 'fifo' | 'socket';

export type AllocateMode = 'extend' | 'keep-size' | 'punch-hole' | 'zero' | 'zero-keep-size';

/** New values of attributes. An attribute without one stays as it is. */
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
   * Clears the file's set-user-id bit, and the set-group-id bit if its group may execute it, because the caller may not
   * change a file and leave them. Does nothing to a directory.
   */
  readonly killPrivileges?: boolean;
}

export interface Attributes {
  readonly node: number;
  /** Type and permission bits as in st_mode. */
  readonly mode: number;
  /** Bytes. */
  readonly size: number;
  /** The data that is not a hole, in units of 512 bytes, as in st_blocks. */
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

/** The figures of statvfs(3). Sizes are in blocks of `blockSize` bytes. */
export interface Statistics {
  readonly blockSize: number;
  readonly blocks: number;
  readonly freeBlocks: number;
  readonly files: number;
  readonly freeFiles: number;
  readonly nameMax: number;
}
