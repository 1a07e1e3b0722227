import { readdirSync } from 'node:fs';
import { bind } from './native.ts';

/** Which descriptors other programs inherit. Flags are those of fcntl.h. */

const F_GETFD = 1;
const F_SETFD = 2;
const FD_CLOEXEC = 1;
const FIRST_AFTER_STANDARD = 3;

const control = bind('fcntl', 'int', ['int', 'int', 'int']);

/**
 * Starts a program that inherits nothing but what it is given explicitly. Node closes by itself what it opened, and of what it inherited
 * only the descriptors up to the first gap: a lock that a script holds on descriptor 200 would be held by each program that we start, a
 * daemon among them, for as long as it lives.
 * @param start to start the program before it returns, as child_process.spawn does
 */
export function withoutInheritance<T>(start: () => T): T {
  const kept = closeOnExec();
  try {
    return start();
  } finally {
    for (const fd of kept) control(fd, F_SETFD, 0);
  }
}

/** Marks all but standard input, output and errors to be closed by execve(2). Returns those that were not. */
export function closeOnExec(): number[] {
  const open = openDescriptors().filter((fd) => fd >= FIRST_AFTER_STANDARD && control(fd, F_GETFD, 0) === 0);
  for (const fd of open) control(fd, F_SETFD, FD_CLOEXEC);
  return open;
}

/** Those of this process. The one that reads the list is among them, and closed when it is returned. */
function openDescriptors(): number[] {
  try {
    return readdirSync('/proc/self/fd').map(Number);
  } catch {
    // Without /proc there is no mount of ours either.
    return [];
  }
}
