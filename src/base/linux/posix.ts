import { readSync } from 'node:fs';
import { constants } from 'node:os';
import { errnoName } from '../errno.ts';
import { CALLS_PREAD } from '../tuning.ts';
import { bind, lastErrno, Region } from './native.ts';

/** System calls Node has no function for. Paths are bytes. Failures throw an Error with `code` like Node's own. */

const calls = {
  pread: bind('pread', 'int64_t', ['int', 'uintptr_t', 'size_t', 'int64_t']),
  pwrite: bind('pwrite', 'int64_t', ['int', 'uintptr_t', 'size_t', 'int64_t']),
  fallocate: bind('fallocate', 'int', ['int', 'int', 'int64_t', 'int64_t']),
  close: bind('close', 'int', ['int']),
  flock: bind('flock', 'int', ['int', 'int']),
  lseek: bind('lseek', 'int64_t', ['int', 'int64_t', 'int']),
  utimensat: bind('utimensat', 'int', ['int', 'uintptr_t', 'uintptr_t', 'int']),
  llistxattr: bind('llistxattr', 'int64_t', ['uintptr_t', 'uintptr_t', 'size_t']),
  lgetxattr: bind('lgetxattr', 'int64_t', ['uintptr_t', 'uintptr_t', 'uintptr_t', 'size_t']),
  lsetxattr: bind('lsetxattr', 'int', ['uintptr_t', 'uintptr_t', 'uintptr_t', 'size_t', 'int']),
} as const;

const SEEK_DATA = 3;
const SEEK_HOLE = 4;
/** linux/falloc.h: FALLOC_FL_KEEP_SIZE, alone and with FALLOC_FL_PUNCH_HOLE. */
const KEEP_SIZE = 0x01;
const PUNCH_HOLE_KEEP_SIZE = 0x01 | 0x02;
/** bits/fcntl.h. */
const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;
const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
const EINTR = constants.errno.EINTR;
const EIO = constants.errno.EIO;
const EWOULDBLOCK = constants.errno.EWOULDBLOCK;
const ENXIO = constants.errno.ENXIO;
const ENOTSUP = constants.errno.EOPNOTSUPP;

/** A C string: the bytes and a NUL. @throws Error EINVAL when the bytes have a NUL of their own */
export function cString(bytes: Uint8Array | string): Region {
  const source = Buffer.from(bytes as Uint8Array);
  if (source.includes(0)) throw systemError('path', constants.errno.EINVAL);
  return new Region(Buffer.concat([source, Buffer.alloc(1)]));
}

/** The Error of the last failed call, in Node's shape (`code`, `errno`, `syscall`). */
export function systemError(syscall: string, errno: number = lastErrno()): Error {
  const code = errnoName(errno) ?? `E${errno}`;
  return Object.assign(new Error(`${code}: ${syscall}`), { code, errno: -errno, syscall });
}

/**
 * pread(2) until `length` bytes of `to` are filled or the file ends; returns how many. Allocates nothing, at half the cost of
 * fs.readSync.
 * @throws RangeError when they do not fit into the region
 */
export function readAt(fd: number, to: Region, toOffset: number, length: number, position: number): number {
  if (!(toOffset >= 0 && length >= 0 && toOffset + length <= to.length)) throw new RangeError('beyond the region');
  return CALLS_PREAD
    ? callPread(fd, to, toOffset, length, position)
    : readSync(fd, to.bytes, toOffset, length, position);
}

function callPread(fd: number, to: Region, toOffset: number, length: number, position: number): number {
  let done = 0;
  while (done < length) {
    const count = calls.pread(fd, to.address + toOffset + done, length - done, position + done);
    if (count === 0) break;
    if (count > 0) done += count;
    else if (lastErrno() !== EINTR) throw systemError('pread');
  }
  return done;
}

/**
 * pwrite(2) until all `length` bytes are written. After a failure some of them may have been.
 * @throws RangeError when the region does not have them
 */
export function writeAt(fd: number, from: Region, fromOffset: number, length: number, position: number): void {
  if (!(fromOffset >= 0 && length >= 0 && fromOffset + length <= from.length))
    throw new RangeError('beyond the region');
  let done = 0;
  while (done < length) {
    const count = calls.pwrite(fd, from.address + fromOffset + done, length - done, position + done);
    if (count > 0) done += count;
    else if (count === 0) throw systemError('pwrite', EIO);
    else if (lastErrno() !== EINTR) throw systemError('pwrite');
  }
}

/** Gives back the room of `length` bytes, which then read as zeros; the file's size stays. @returns false where the file system cannot */
export function punchHole(fd: number, position: number, length: number): boolean {
  while (calls.fallocate(fd, PUNCH_HOLE_KEEP_SIZE, position, length) !== 0) {
    if (lastErrno() === ENOTSUP) return false;
    if (lastErrno() !== EINTR) throw systemError('fallocate');
  }
  return true;
}

/** Takes room for `length` bytes, also behind the end of the file, whose size stays. @returns whether there is as much now */
export function reserveRoom(fd: number, position: number, length: number): boolean {
  while (calls.fallocate(fd, KEEP_SIZE, position, length) !== 0) if (lastErrno() !== EINTR) return false;
  return true;
}

/**
 * Closes a descriptor that a system call of this file or of at-calls.ts opened. Node's own close would warn in a thread,
 * where it knows which descriptors it opened. EINTR means closed, on Linux.
 */
export function closeDescriptor(fd: number): void {
  if (calls.close(fd) !== 0 && lastErrno() !== EINTR) throw systemError('close');
}

/**
 * Takes a lock of flock(2) on an open file, without waiting; it ends with the descriptor.
 * @param kind one `exclusive` lock, or any number of `shared` ones
 * @returns false when another lock is in the way
 */
export function tryLock(fd: number, kind: 'exclusive' | 'shared' = 'exclusive'): boolean {
  while (calls.flock(fd, (kind === 'exclusive' ? LOCK_EX : LOCK_SH) | LOCK_NB) !== 0) {
    if (lastErrno() === EWOULDBLOCK) return false;
    if (lastErrno() !== EINTR) throw systemError('flock');
  }
  return true;
}

/** The runs of a file that hold data, as [start, end) byte offsets in ascending order, as the file system below tells them. */
export function* dataRanges(fd: number, size: number): Generator<readonly [start: number, end: number]> {
  let position = 0;
  while (position < size) {
    const start = calls.lseek(fd, position, SEEK_DATA);
    if (start < 0) {
      if (lastErrno() === ENXIO) return;
      throw systemError('lseek');
    }
    const end = calls.lseek(fd, start, SEEK_HOLE);
    if (end < 0) throw systemError('lseek');
    if (start >= size || end <= start) return;
    yield [start, Math.min(end, size)];
    position = end;
  }
}

/** Seconds since 1970 and nanoseconds. */
interface PreciseTime {
  readonly seconds: number;
  readonly nanoseconds: number;
}

/** Sets access and modification time of a path itself, not of what a link points to, to the nanosecond. */
export function setTimes(path: Uint8Array, atime: PreciseTime, mtime: PreciseTime): void {
  const times = new Region(32);
  for (const [at, { seconds, nanoseconds }] of [atime, mtime].entries()) {
    times.view.setBigInt64(at * 16, BigInt(seconds), true);
    times.view.setBigInt64(at * 16 + 8, BigInt(nanoseconds), true);
  }
  const name = cString(path);
  if (calls.utimensat(AT_FDCWD, name.address, times.address, AT_SYMLINK_NOFOLLOW) !== 0) throw systemError('utimensat');
}

/** Names of the extended attributes of a path itself; none where the file system has no such thing. */
export function listXattrs(path: Uint8Array): Buffer[] {
  const name = cString(path);
  const length = calls.llistxattr(name.address, 0, 0);
  if (length < 0 && lastErrno() === ENOTSUP) return [];
  if (length < 0) throw systemError('llistxattr');
  if (length === 0) return [];
  const list = new Region(length);
  const count = calls.llistxattr(name.address, list.address, length);
  if (count < 0) throw systemError('llistxattr');
  const names: Buffer[] = [];
  for (let start = 0; start < count; ) {
    const end = list.bytes.indexOf(0, start);
    names.push(Buffer.from(list.bytes.subarray(start, end)));
    start = end + 1;
  }
  return names;
}

export function getXattr(path: Uint8Array, attribute: Uint8Array): Buffer {
  const name = cString(path);
  const key = cString(attribute);
  const value = new Region(65536);
  const length = calls.lgetxattr(name.address, key.address, value.address, value.length);
  if (length < 0) throw systemError('lgetxattr');
  return Buffer.from(value.bytes.subarray(0, length));
}

export function setXattr(path: Uint8Array, attribute: Uint8Array, value: Uint8Array): void {
  const name = cString(path);
  const key = cString(attribute);
  const bytes = new Region(Buffer.concat([value, Buffer.alloc(1)]));
  if (calls.lsetxattr(name.address, key.address, bytes.address, value.length, 0) !== 0) throw systemError('lsetxattr');
}
