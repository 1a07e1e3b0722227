import { constants as fsConstants } from 'node:fs';
import { constants } from 'node:os';
import { namesIn } from '../listing.ts';
import { bind, lastErrno } from './native.ts';
import { systemError } from './system-error.ts';

/** Descriptors: copies of them, and which of them other programs inherit. Commands and flags are those of fcntl.h. */

const { O_NONBLOCK } = fsConstants;

const F_DUPFD = 0;
const F_GETFD = 1;
const F_SETFD = 2;
const FD_CLOEXEC = 1;
const F_GETFL = 3;
const F_SETFL = 4;
const FIRST_AFTER_STANDARD = 3;

const calls = {
  close: bind('close', 'int', ['int']),
  dup2: bind('dup2', 'int', ['int', 'int']),
  fcntl: bind('fcntl', 'int', ['int', 'int', 'int']),
} as const;

/**
 * Closes a descriptor that a system call of this folder opened. Node's own close would warn in a thread, where it knows
 * which descriptors it opened. EINTR means closed, on Linux.
 */
export function closeDescriptor(fd: number): void {
  if (calls.close(fd) !== 0 && lastErrno() !== constants.errno.EINTR) throw systemError('close');
}

/** Makes `number` another descriptor of what `fd` is; what it was before is closed. @throws Error */
export function duplicateTo(fd: number, number: number): void {
  if (calls.dup2(fd, number) < 0) throw systemError('dup2');
}

/** Makes another descriptor of what `fd` is, with the first free number from `lowest` on. @throws Error */
export function duplicateFrom(fd: number, lowest: number): number {
  const made = calls.fcntl(fd, F_DUPFD, lowest);
  if (made < 0) throw systemError('fcntl');
  return made;
}

/** Sends to an open file what this process writes to standard output and error from now on. @throws Error */
export function redirectOutput(fd: number): void {
  for (const standard of [1, 2]) duplicateTo(fd, standard);
}

/** Says whether reading and writing wait, by this descriptor and by every other one of the same open file. */
export function setNonBlocking(fd: number, isNonBlocking: boolean): void {
  const flags = calls.fcntl(fd, F_GETFL, 0);
  calls.fcntl(fd, F_SETFL, isNonBlocking ? flags | O_NONBLOCK : flags & ~O_NONBLOCK);
}

/** Says whether execve(2) closes a descriptor. */
export function setCloseOnExec(fd: number, closes: boolean): void {
  calls.fcntl(fd, F_SETFD, closes ? FD_CLOEXEC : 0);
}

/**
 * Starts a program that inherits only what it is given explicitly. Node closes what it opened, but of what it inherited
 * only the descriptors up to the first gap: a lock that a script holds on descriptor 200 would be held by each program
 * that ckptfs starts, such as a daemon, as long as it lives.
 * @param start must start the program before it returns, like child_process.spawn
 */
export function withoutInheritance<T>(start: () => T): T {
  const kept = closeOnExec();
  try {
    return start();
  } finally {
    for (const fd of kept) setCloseOnExec(fd, false);
  }
}

/** Marks all but standard input, output and errors to be closed by execve(2). Returns those that were not. */
export function closeOnExec(): number[] {
  const open = openDescriptors().filter((fd) => fd >= FIRST_AFTER_STANDARD && calls.fcntl(fd, F_GETFD, 0) === 0);
  for (const fd of open) setCloseOnExec(fd, true);
  return open;
}

/** Lists the descriptors of this process, with the one that reads the list, which is closed by then. */
function openDescriptors(): number[] {
  // Without /proc ckptfs cannot mount either.
  return namesIn('/proc/self/fd').map(Number);
}
