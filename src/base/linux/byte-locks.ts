import { constants } from 'node:os';
import { bind, lastErrno, Region } from './native.ts';
import { systemError } from './system-error.ts';

/**
 * Locks on single bytes of a file, which need not be there, between descriptions of open files (fcntl(2), "Open file
 * description locks"). The kernel frees them when the last descriptor of a description is closed, so also when a
 * process is killed. Commands are those of linux/fcntl.h, the same on every architecture that Node runs on.
 */

const F_OFD_SETLK = 37;
const F_WRLCK = 1;
const F_UNLCK = 2;
const SEEK_SET = 0;
/** struct flock of 64-bit architectures; `pid` is 0 here. */
const FLOCK = { type: 0, whence: 2, start: 8, length: 16, pid: 24, sizeof: 32 } as const;
const { EACCES, EAGAIN, EINTR } = constants.errno;

const fcntl = bind('fcntl', 'int', ['int', 'int', 'uintptr_t']);
const flock = new Region(FLOCK.sizeof);

/**
 * Locks a byte, without waiting. A lock that this description of an open file has already is had again.
 * @param fd open for writing
 * @param offset of the byte, up to 2^62
 * @returns false when another description has it
 * @throws Error ENOLCK, EINVAL, EBADF where there are no such locks
 */
export function tryLockByte(fd: number, offset: number): boolean {
  const errno = setLock(fd, offset, F_WRLCK);
  if (errno === EACCES || errno === EAGAIN) return false;
  if (errno !== 0) throw systemError('fcntl', errno);
  return true;
}

/** Frees a byte that this description of an open file has locked. @throws Error */
export function unlockByte(fd: number, offset: number): void {
  const errno = setLock(fd, offset, F_UNLCK);
  if (errno !== 0) throw systemError('fcntl', errno);
}

/** Returns the errno of the call, 0 where it had none. */
function setLock(fd: number, offset: number, type: number): number {
  flock.view.setInt16(FLOCK.type, type, true);
  flock.view.setInt16(FLOCK.whence, SEEK_SET, true);
  flock.view.setBigInt64(FLOCK.start, BigInt(offset), true);
  flock.view.setBigInt64(FLOCK.length, 1n, true);
  flock.view.setInt32(FLOCK.pid, 0, true);
  while (fcntl(fd, F_OFD_SETLK, flock.address) !== 0) if (lastErrno() !== EINTR) return lastErrno();
  return 0;
}
