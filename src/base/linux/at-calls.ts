import { constants as fsConstants } from 'node:fs';
import { constants } from 'node:os';
import type { Time } from '../time.ts';
import { bind, lastErrno, Region } from './native.ts';
import { O_CLOEXEC, O_PATH } from './open-flags.ts';
import { systemError } from './system-error.ts';

/** System calls that name an entry by the descriptor of its directory. Failures throw an Error in Node's shape. */

const calls = {
  openat: bind('openat', 'int', ['int', 'uintptr_t', 'int', 'int']),
  mknodat: bind('mknodat', 'int', ['int', 'uintptr_t', 'unsigned int', 'uint64_t']),
  mkdirat: bind('mkdirat', 'int', ['int', 'uintptr_t', 'int']),
  unlinkat: bind('unlinkat', 'int', ['int', 'uintptr_t', 'int']),
  renameat2: bind('renameat2', 'int', ['int', 'uintptr_t', 'int', 'uintptr_t', 'uint']),
  linkat: bind('linkat', 'int', ['int', 'uintptr_t', 'int', 'uintptr_t', 'int']),
  symlinkat: bind('symlinkat', 'int', ['uintptr_t', 'int', 'uintptr_t']),
  readlinkat: bind('readlinkat', 'int64_t', ['int', 'uintptr_t', 'uintptr_t', 'size_t']),
  fchownat: bind('fchownat', 'int', ['int', 'uintptr_t', 'uint', 'uint', 'int']),
  utimensat: bind('utimensat', 'int', ['int', 'uintptr_t', 'uintptr_t', 'int']),
  fstatvfs: bind('fstatvfs', 'int', ['int', 'uintptr_t']),
  syscall: bind('syscall', 'int64_t', ['int64_t', 'int', 'uintptr_t', 'uintptr_t', 'size_t']),
} as const;

const { O_DIRECTORY, O_NOCTTY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = fsConstants;
const AT_FDCWD = -100;
const AT_REMOVEDIR = 0x200;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_SYMLINK_FOLLOW = 0x400;
const RENAME_NOREPLACE = 1;
const RENAME_EXCHANGE = 2;
/** sys/stat.h: the type in st_mode. */
const S_IFIFO = 0o010000;
const S_IFSOCK = 0o140000;
/** openat2(2) has no wrapper in the C library; its number is the same on every architecture. */
const SYS_OPENAT2 = 437;
/** linux/openat2.h: RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS. */
const RESOLVE_SAME_MOUNT = 0x01 | 0x02 | 0x04;
const PATH_MAX = 4096;
const { EINTR, EINVAL, ENAMETOOLONG, ENOSYS, EPERM, EXDEV } = constants.errno;

/** A C string in memory that is used again by the next call with the same slot, so that a call allocates nothing. */
class NameSlot {
  readonly #region = new Region(PATH_MAX);

  /** @throws Error EINVAL for a name with a NUL, or that is no single component when it must be one */
  put(name: Uint8Array | string, isComponent = true): number {
    const { bytes, address, length } = this.#region;
    const count = typeof name === 'string' ? Buffer.byteLength(name) : name.length;
    if (count >= length) throw systemError('name', ENAMETOOLONG);
    if (typeof name === 'string') bytes.write(name, 0);
    else bytes.set(name, 0);
    bytes[count] = 0;
    const used = bytes.subarray(0, count);
    if (count === 0 || used.includes(0) || (isComponent && used.includes(0x2f))) throw systemError('name', EINVAL);
    return address;
  }
}

const first = new NameSlot();
const second = new NameSlot();
const target = new Region(PATH_MAX);
const openHow = new Region(24);
const times = new Region(32);

/** open(2) of a path, which is followed as usual, without making anything. */
export function openPath(path: Uint8Array | string, flags: number): number {
  return openAt(AT_FDCWD, first.put(path, false), flags, 0);
}

/** Opens an entry, never by way of a symbolic link; a FIFO does not block. */
export function openEntry(directory: number, name: Uint8Array | string, flags: number, mode: number): number {
  return openAt(directory, first.put(name), flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, mode);
}

/** Opens a directory with O_PATH, never by way of a symbolic link. */
export function openDirectoryEntry(directory: number, name: Uint8Array | string): number {
  return openAt(directory, first.put(name), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
}

/**
 * Opens a directory as {@link openDirectoryEntry} does, but no mount point.
 * @returns undefined where the kernel is older than openat2(2) (Linux 5.6), or a filter keeps the call away
 * @throws Error EXDEV for a mount point
 */
export function openDirectoryOfMount(directory: number, name: Uint8Array | string): number | undefined {
  openHow.view.setBigUint64(0, BigInt(O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), true);
  openHow.view.setBigUint64(8, 0n, true);
  openHow.view.setBigUint64(16, BigInt(RESOLVE_SAME_MOUNT), true);
  const address = first.put(name);
  for (;;) {
    const fd = calls.syscall(SYS_OPENAT2, directory, address, openHow.address, openHow.length);
    if (fd >= 0) return fd;
    const errno = lastErrno();
    if (errno === ENOSYS || errno === EPERM) return undefined;
    if (errno !== EINTR) throw systemError('openat2', errno);
  }
}

/** The error that {@link openDirectoryOfMount} throws for a mount point. */
export function crossesMount(): Error {
  return systemError('openat2', EXDEV);
}

/** Opens the directory itself, or the one above, in a way that it can be listed and made durable. */
export function reopenDirectory(directory: number, which: '.' | '..' = '.'): number {
  return openAt(directory, first.put(which), O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
}

export function makeDirectoryAt(directory: number, name: Uint8Array | string, mode: number): void {
  if (calls.mkdirat(directory, first.put(name), mode) !== 0) throw systemError('mkdirat');
}

/** Makes a FIFO or a socket without a listener, for its owner alone. */
export function makeMeetingPointAt(directory: number, name: Uint8Array | string, type: 'fifo' | 'socket'): void {
  const mode = (type === 'fifo' ? S_IFIFO : S_IFSOCK) | 0o600;
  if (calls.mknodat(directory, first.put(name), mode, 0) !== 0) throw systemError('mknodat');
}

export function unlinkAt(directory: number, name: Uint8Array | string): void {
  if (calls.unlinkat(directory, first.put(name), 0) !== 0) throw systemError('unlinkat');
}

export function removeDirectoryAt(directory: number, name: Uint8Array | string): void {
  if (calls.unlinkat(directory, first.put(name), AT_REMOVEDIR) !== 0) throw systemError('unlinkat');
}

export function renameAt(
  from: number,
  name: Uint8Array | string,
  to: number,
  newName: Uint8Array | string,
  replace: boolean,
): void {
  const flags = replace ? 0 : RENAME_NOREPLACE;
  if (calls.renameat2(from, first.put(name), to, second.put(newName), flags) !== 0) throw systemError('renameat2');
}

/** Swaps two entries in one step. */
export function exchangeAt(from: number, name: Uint8Array | string, to: number, other: Uint8Array | string): void {
  if (calls.renameat2(from, first.put(name), to, second.put(other), RENAME_EXCHANGE) !== 0) {
    throw systemError('renameat2');
  }
}

export function linkAt(from: number, name: Uint8Array | string, to: number, newName: Uint8Array | string): void {
  if (calls.linkat(from, first.put(name), to, second.put(newName), 0) !== 0) throw systemError('linkat');
}

/** Gives a file that is open, and need not have a name, a name in a directory. Needs /proc. */
export function linkDescriptorAt(fd: number, directory: number, name: Uint8Array | string): void {
  const open = first.put(`/proc/self/fd/${fd}`, false);
  if (calls.linkat(AT_FDCWD, open, directory, second.put(name), AT_SYMLINK_FOLLOW) !== 0) throw systemError('linkat');
}

export function symlinkAt(text: Uint8Array | string, directory: number, name: Uint8Array | string): void {
  if (calls.symlinkat(second.put(text, false), directory, first.put(name)) !== 0) throw systemError('symlinkat');
}

export function readLinkAt(directory: number, name: Uint8Array | string): Buffer {
  const length = calls.readlinkat(directory, first.put(name), target.address, target.length);
  if (length < 0) throw systemError('readlinkat');
  return Buffer.from(target.bytes.subarray(0, length));
}

export function changeOwnerAt(directory: number, name: Uint8Array | string, uid: number, gid: number): void {
  if (calls.fchownat(directory, first.put(name), uid, gid, AT_SYMLINK_NOFOLLOW) !== 0) throw systemError('fchownat');
}

export function setTimesAt(directory: number, name: Uint8Array | string, atime: Time, mtime: Time): void {
  changeTimes(directory, first.put(name), atime, mtime);
}

/** Sets the times of a path itself, not of what a link leads to. */
export function setTimes(path: Uint8Array | string, atime: Time, mtime: Time): void {
  changeTimes(AT_FDCWD, first.put(path, false), atime, mtime);
}

function changeTimes(directory: number, address: number, atime: Time, mtime: Time): void {
  for (const [index, time] of [atime, mtime].entries()) {
    times.view.setBigInt64(16 * index, BigInt(time.seconds), true);
    times.view.setBigInt64(16 * index + 8, BigInt(time.nanoseconds), true);
  }
  if (calls.utimensat(directory, address, times.address, AT_SYMLINK_NOFOLLOW) !== 0) throw systemError('utimensat');
}

export interface FileSystemSpace {
  /** Bytes. */
  readonly blockSize: number;
  readonly blocks: number;
  /** The free blocks that this process can have. */
  readonly freeBlocks: number;
}

/** Asks fstatvfs(3), of which POSIX gives the order of the fields; each is 8 bytes on 64-bit Linux. */
export function spaceOf(descriptor: number): FileSystemSpace {
  const answer = new Region(256);
  if (calls.fstatvfs(descriptor, answer.address) !== 0) throw systemError('fstatvfs');
  const field = (index: number): number => Number(answer.view.getBigUint64(8 * index, true));
  return { blockSize: field(1), blocks: field(2), freeBlocks: field(4) };
}

function openAt(directory: number, address: number, flags: number, mode: number): number {
  for (;;) {
    const fd = calls.openat(directory, address, flags, mode);
    if (fd >= 0) return fd;
    if (lastErrno() !== EINTR) throw systemError('open');
  }
}
