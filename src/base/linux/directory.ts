import { type BigIntStats, chmodSync, constants as fsConstants, fstatSync, fsyncSync, readlinkSync } from 'node:fs';
import { constants } from 'node:os';
import { resolve } from 'node:path';
import type { Time } from '../time.ts';
import type { FileSystemSpace } from './at-calls.ts';
import * as at from './at-calls.ts';
import { closeDescriptor } from './descriptors.ts';
import { isDots, listNames } from './directory-listing.ts';
import { O_CLOEXEC, O_PATH, O_TMPFILE } from './open-flags.ts';
import { systemError } from './system-error.ts';
import { getXattr, listXattrs, setXattr } from './xattrs.ts';

/** One component of a path, never "/" or "..": text, or bytes, which need not be UTF-8. */
export type EntryName = Uint8Array | string;

/** The name of a directory in itself, where a method takes it. */
const SELF = '.';

/**
 * Holds a directory by a descriptor (O_PATH) from opening to closing. Whatever is renamed, moved or put in its place
 * meanwhile, the methods work in this directory only. They take names of entries, each a single component, and never
 * follow a symbolic link. So they reach any depth, also beyond PATH_MAX, with one Directory for each level. A failure
 * throws an Error in Node's shape (`code`, `errno`, `syscall`), EINVAL for a name that is not a single component. The
 * threads of a process share a descriptor by {@link Directory.fromDescriptor}.
 */
export class Directory {
  /** An O_PATH descriptor, close-on-exec. */
  readonly fd: number;
  /** The path by which it was opened. */
  readonly #openedAs: string;
  /** Where the kernel said it was then, if `#openedAs` leads there without symbolic links. */
  readonly #openedAt: string | undefined;

  private constructor(fd: number, openedAs: string, openedAt?: string) {
    this.fd = fd;
    this.#openedAs = openedAs;
    this.#openedAt = openedAt;
  }

  /**
   * Opens a directory by its path, which may lead through symbolic links.
   * @param follow whether the last component may be one, too
   */
  static open(path: EntryName, { follow = true }: { readonly follow?: boolean } = {}): Directory {
    const { O_DIRECTORY, O_NOFOLLOW } = fsConstants;
    const fd = at.openPath(path, O_PATH | O_DIRECTORY | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW));
    const openedAs = Buffer.from(path as Uint8Array).toString();
    const openedAt = currentPath(fd);
    return new Directory(fd, openedAs, isPlainPathOf(openedAs, openedAt) ? openedAt : undefined);
  }

  /** Works by a descriptor of a directory that is open already, such as one of another thread. Close one of the two. */
  static fromDescriptor(fd: number, openedAs = `descriptor ${fd}`): Directory {
    return new Directory(fd, openedAs);
  }

  /** Opens the same directory again, by a descriptor of its own. */
  reopen(): Directory {
    return new Directory(at.openDirectoryEntry(this.fd, SELF), this.#openedAs, this.#openedAt);
  }

  close(): void {
    closeDescriptor(this.fd);
  }

  /**
   * Opens a directory in this one. Close it.
   * @param sameMount refuses a mount point, with EXDEV. Before Linux 5.6 only one of another device is recognized.
   * @throws Error ENOTDIR also for a symbolic link
   */
  openDirectory(name: EntryName, { sameMount = false }: { readonly sameMount?: boolean } = {}): Directory {
    checkEntry(name);
    const openedAs = `${this.#openedAs}/${Buffer.from(name as Uint8Array)}`;
    if (!sameMount) return new Directory(at.openDirectoryEntry(this.fd, name), openedAs);
    const fd = at.openDirectoryOfMount(this.fd, name);
    if (fd !== undefined) return new Directory(fd, openedAs);
    const directory = new Directory(at.openDirectoryEntry(this.fd, name), openedAs);
    if (directory.stat().dev === this.stat().dev) return directory;
    directory.close();
    throw at.crossesMount();
  }

  /**
   * Opens an entry that is no directory and returns a descriptor. The caller looks at what it is (fstat), and
   * closes it.
   * @param flags of open(2); O_NOFOLLOW, O_NONBLOCK, O_NOCTTY and O_CLOEXEC are added
   * @param mode of a file that is made by O_CREAT
   * @throws Error ELOOP for a symbolic link
   */
  openFile(name: EntryName, flags: number, mode = 0o600): number {
    checkEntry(name);
    return at.openEntry(this.fd, name, flags, mode);
  }

  /**
   * Opens a new file without a name, to be written, for its owner alone. {@link linkDescriptor} gives it one.
   * @throws Error EOPNOTSUPP, EISDIR, EINVAL or ENOENT where the file system or the kernel cannot
   */
  openNameless(): number {
    return at.openEntry(this.fd, SELF, O_TMPFILE | fsConstants.O_WRONLY, 0o600);
  }

  /** Says what an entry is; undefined when there is none. */
  lstat(name: EntryName): BigIntStats | undefined {
    checkEntry(name);
    let fd: number;
    try {
      fd = at.openEntry(this.fd, name, O_PATH, 0);
    } catch (error) {
      if (isError(error, 'ENOENT')) return undefined;
      throw error;
    }
    try {
      return fstatSync(fd, { bigint: true });
    } finally {
      closeDescriptor(fd);
    }
  }

  /** Says what the directory itself is. */
  stat(): BigIntStats {
    return fstatSync(this.fd, { bigint: true });
  }

  /** Lists the names of all entries, in no order. */
  names(): Buffer[] {
    return this.withReadable(listNames);
  }

  /** @throws Error EEXIST */
  mkdir(name: EntryName, mode = 0o777): void {
    checkEntry(name);
    at.makeDirectoryAt(this.fd, name, mode);
  }

  /** Makes a FIFO or a socket without a listener, with mode 0600. @throws Error EEXIST */
  mknod(name: EntryName, type: 'fifo' | 'socket'): void {
    checkEntry(name);
    at.makeMeetingPointAt(this.fd, name, type);
  }

  /** Removes an entry that is no directory. @throws Error ENOENT */
  unlink(name: EntryName): void {
    checkEntry(name);
    at.unlinkAt(this.fd, name);
  }

  /** Removes an empty directory. @throws Error ENOENT */
  rmdir(name: EntryName): void {
    checkEntry(name);
    at.removeDirectoryAt(this.fd, name);
  }

  /**
   * Renames an entry, also into another directory.
   * @param replace whether something of the new name may be there, which then goes
   * @throws Error EEXIST; EINVAL where the file system cannot keep from replacing
   */
  rename(
    name: EntryName,
    newName: EntryName,
    { to = this, replace = true }: { readonly to?: Directory; readonly replace?: boolean } = {},
  ): void {
    checkEntry(name);
    checkEntry(newName);
    at.renameAt(this.fd, name, to.fd, newName, replace);
  }

  /**
   * Swaps two entries of this directory in one step.
   * @throws Error EINVAL where the file system cannot; ENOENT, EBUSY for a mount point
   */
  exchange(name: EntryName, other: EntryName): void {
    checkEntry(name);
    checkEntry(other);
    at.exchangeAt(this.fd, name, this.fd, other);
  }

  /** Gives a file another name, also in another directory. @throws Error EEXIST */
  link(name: EntryName, newName: EntryName, to: Directory = this): void {
    checkEntry(name);
    checkEntry(newName);
    at.linkAt(this.fd, name, to.fd, newName);
  }

  /** Gives a file that is open a name in this directory. @throws Error EEXIST */
  linkDescriptor(fd: number, name: EntryName): void {
    checkEntry(name);
    at.linkDescriptorAt(fd, this.fd, name);
  }

  /** @throws Error EEXIST */
  symlink(target: Uint8Array | string, name: EntryName): void {
    checkEntry(name);
    at.symlinkAt(target, this.fd, name);
  }

  /** Returns the target of a symbolic link. @throws Error EINVAL for anything else */
  readlink(name: EntryName): Buffer {
    checkEntry(name);
    return at.readLinkAt(this.fd, name);
  }

  /** Makes the names in this directory durable. */
  sync(): void {
    this.withReadable(fsyncSync);
  }

  /** Makes the names in the directory above durable, wherever that is now. */
  syncParent(): void {
    const fd = at.reopenDirectory(this.fd, '..');
    try {
      fsyncSync(fd);
    } finally {
      closeDescriptor(fd);
    }
  }

  /**
   * Sets the mode of an entry, or of the directory itself (`'.'`).
   * @throws Error ENOTSUP for a symbolic link; ENOENT also where /proc is not mounted
   */
  chmod(name: EntryName, mode: number): void {
    checkEntryOrSelf(name);
    const fd = at.openEntry(this.fd, name, O_PATH, 0);
    try {
      if (fstatSync(fd).isSymbolicLink()) throw systemError('chmod', constants.errno.EOPNOTSUPP);
      chmodSync(descriptorPath(fd), mode);
    } finally {
      closeDescriptor(fd);
    }
  }

  /** Sets the owner of an entry, also of a symbolic link, or of the directory itself (`'.'`). */
  chown(name: EntryName, uid: number, gid: number): void {
    checkEntryOrSelf(name);
    at.changeOwnerAt(this.fd, name, uid, gid);
  }

  /** Sets the times of an entry, also of a symbolic link, or of the directory itself (`'.'`). */
  utimes(name: EntryName, atime: Time, mtime: Time): void {
    checkEntryOrSelf(name);
    at.setTimesAt(this.fd, name, atime, mtime);
  }

  /**
   * Names the extended attributes of an entry, or of the directory itself (`'.'`).
   * @throws Error ENOENT also where /proc is not mounted
   */
  listXattrs(name: EntryName): Buffer[] {
    return listXattrs(this.#pathOf(name));
  }

  getXattr(name: EntryName, attribute: Uint8Array): Buffer {
    return getXattr(this.#pathOf(name), attribute);
  }

  setXattr(name: EntryName, attribute: Uint8Array, value: Uint8Array): void {
    setXattr(this.#pathOf(name), attribute, value);
  }

  /** Tells how much room the file system has that the directory is on. */
  space(): FileSystemSpace {
    return at.spaceOf(this.fd);
  }

  /** Runs `use` with a readable descriptor of this directory, at its start, and closes that. */
  withReadable<T>(use: (fd: number) => T): T {
    const fd = this.openReadable();
    try {
      return use(fd);
    } finally {
      closeDescriptor(fd);
    }
  }

  /** Opens this directory for reading (flock, fsync, listing). The caller closes the descriptor. */
  openReadable(): number {
    return at.reopenDirectory(this.fd);
  }

  /**
   * Returns the present path of the directory, for messages: the path by which it was opened as long as it is there and
   * that path has no symbolic links, which may lead elsewhere by now; else its own path, with " (removed)" when it has
   * been removed. Asks only the kernel, so that a path to a file system that does not answer does not stop it.
   */
  path(): string {
    const path = currentPath(this.fd);
    if (path === undefined || path === this.#openedAt) return this.#openedAs;
    if (!path.endsWith(DELETED) || this.stat().nlink > 0n) return path;
    return `${path.slice(0, -DELETED.length)} (removed)`;
  }

  /** Returns a path to an entry through the descriptor, for calls that take none and do not follow its end. */
  #pathOf(name: EntryName): Buffer {
    checkEntryOrSelf(name);
    return Buffer.concat([Buffer.from(`${descriptorPath(this.fd)}/`), Buffer.from(name as Uint8Array)]);
  }
}

/** What the kernel adds to the path of what was removed. */
const DELETED = ' (deleted)';

function descriptorPath(fd: number): string {
  return `/proc/self/fd/${fd}`;
}

/** Returns undefined where /proc is not mounted. */
function currentPath(fd: number): string | undefined {
  try {
    return readlinkSync(descriptorPath(fd));
  } catch {
    return undefined;
  }
}

/** Tells whether a path, in which only "." and ".." are resolved, is the path that the kernel knows. */
function isPlainPathOf(path: string, real: string | undefined): boolean {
  try {
    return resolve(path) === real;
  } catch {
    // The current directory has been removed.
    return false;
  }
}

/** @throws Error EINVAL for a name that is not one component, and for "." and "..", which are not entries */
function checkEntry(name: EntryName): void {
  const bytes = Buffer.from(name as Uint8Array);
  if (isDots(bytes) || bytes.length === 0 || bytes.includes(0) || bytes.includes(0x2f)) {
    throw systemError('name', constants.errno.EINVAL);
  }
}

/** Like {@link checkEntry}, for methods that also work on the directory itself. */
function checkEntryOrSelf(name: EntryName): void {
  if (name !== SELF) checkEntry(name);
}

function isError(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
