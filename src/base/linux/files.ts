import { readSync } from 'node:fs';
import { constants } from 'node:os';
import { CALLS_PREAD } from '../tuning.ts';
import { bind, lastErrno, type Region } from './native.ts';
import { systemError } from './system-error.ts';

/** Contents and locks of open files. Failures throw an Error with `code` like Node's own. */

const calls = {
  pread: bind('pread', 'int64_t', ['int', 'uintptr_t', 'size_t', 'int64_t']),
  pwrite: bind('pwrite', 'int64_t', ['int', 'uintptr_t', 'size_t', 'int64_t']),
  fallocate: bind('fallocate', 'int', ['int', 'int', 'int64_t', 'int64_t']),
  flock: bind('flock', 'int', ['int', 'int']),
  lseek: bind('lseek', 'int64_t', ['int', 'int64_t', 'int']),
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
const EINTR = constants.errno.EINTR;
const EIO = constants.errno.EIO;
const EWOULDBLOCK = constants.errno.EWOULDBLOCK;
const ENXIO = constants.errno.ENXIO;
const ENOTSUP = constants.errno.EOPNOTSUPP;

/**
 * Calls pread(2) until `length` bytes of `to` are filled or the file ends; returns how many. Allocates nothing, at half
 * the cost of fs.readSync.
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
 * Calls pwrite(2) until all `length` bytes are written. After a failure some of them may have been.
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

/**
 * Gives back the space of `length` bytes, which then read as zeros; the file's size stays.
 * @returns false where the file system cannot
 */
export function punchHole(fd: number, position: number, length: number): boolean {
  while (calls.fallocate(fd, PUNCH_HOLE_KEEP_SIZE, position, length) !== 0) {
    if (lastErrno() === ENOTSUP) return false;
    if (lastErrno() !== EINTR) throw systemError('fallocate');
  }
  return true;
}

/**
 * Takes space for `length` bytes, also past the end of the file, whose size stays.
 * @returns whether there is as much now
 */
export function reserveRoom(fd: number, position: number, length: number): boolean {
  while (calls.fallocate(fd, KEEP_SIZE, position, length) !== 0) if (lastErrno() !== EINTR) return false;
  return true;
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

/** Lists the runs of a file that hold data, as the file system tells them: [start, end) byte offsets, ascending. */
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
