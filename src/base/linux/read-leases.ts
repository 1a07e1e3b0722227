import { constants } from 'node:os';
import { bind, lastErrno } from './native.ts';
import { systemError } from './system-error.ts';

/**
 * Leases on files (fcntl(2)), by which the kernel says that no process has a file open to write, and tells when one
 * wants to. They end with the descriptor. Commands and types are those of fcntl.h.
 */

const F_SETSIG = 10;
const F_SETLEASE = 1024;
const F_GETLEASE = 1025;
const F_RDLCK = 0;
const { EAGAIN } = constants.errno;

const fcntl = bind('fcntl', 'int', ['int', 'int', 'int']);

/**
 * Takes a lease on a file that is open to be read. From now on a process that opens the file to write, or cuts it,
 * waits until the lease is given up, or until the kernel takes it after some time (sysctl fs.lease-break-time).
 * @returns false when a process has the file open to write, by any of its names, or has it mapped so
 * @throws Error EACCES for a file of another user without CAP_LEASE; EINVAL, EOPNOTSUPP where the file system has none
 */
export function takeReadLease(fd: number): boolean {
  // By default SIGIO says that another process waits, which ends a process that does not handle it. This one does not.
  if (fcntl(fd, F_SETSIG, constants.signals.SIGURG) !== 0) throw systemError('fcntl');
  if (fcntl(fd, F_SETLEASE, F_RDLCK) === 0) return true;
  if (lastErrno() === EAGAIN) return false;
  throw systemError('fcntl');
}

/** Returns whether the lease on a file is still held, and no process waits for its end. */
export function holdsReadLease(fd: number): boolean {
  return fcntl(fd, F_GETLEASE, 0) === F_RDLCK;
}
