import { bind, type Region } from './native.ts';

/** io_uring(7), by system calls: the C library has no functions for it. The numbers are the same on all processors. */

const SYS_IO_URING_SETUP = 425;
const SYS_IO_URING_ENTER = 426;

const calls = {
  setup: bind('syscall', 'int64_t', ['int64_t', 'uint32_t', 'uintptr_t']),
  enter: bind('syscall', 'int64_t', ['int64_t', 'int', 'uint32_t', 'uint32_t', 'uint32_t', 'uintptr_t', 'size_t']),
} as const;

/**
 * Calls io_uring_setup(2).
 * @param parameters struct io_uring_params, which the kernel fills
 * @returns a descriptor; -1 after a failure, see `lastErrno`
 */
export function setUpRing(entries: number, parameters: Region): number {
  return calls.setup(SYS_IO_URING_SETUP, entries, parameters.address);
}

/** Calls io_uring_enter(2). Returns how many entries were submitted; -1 after a failure, see `lastErrno`. */
export function enterRing(fd: number, toSubmit: number, minComplete: number, flags: number): number {
  return calls.enter(SYS_IO_URING_ENTER, fd, toSubmit, minComplete, flags, 0, 0);
}
