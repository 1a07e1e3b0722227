import { bind, memoryAt, Region } from './native.ts';
import { systemError } from './system-error.ts';

/** Pages of memory. Advice, protection and flags are those of asm-generic/mman-common.h. */

const PROT_READ_WRITE = 3;
const MAP_SHARED = 0x01;
const MAP_PRIVATE = 0x02;
const MAP_ANONYMOUS = 0x20;
const MAP_POPULATE = 0x8000;
const MADV_DONTNEED = 4;
const MADV_HUGEPAGE = 14;
const MADV_DONTDUMP = 16;
const MADV_DODUMP = 17;

const calls = {
  getpagesize: bind('getpagesize', 'int', []),
  mlock: bind('mlock', 'int', ['uintptr_t', 'size_t']),
  munlock: bind('munlock', 'int', ['uintptr_t', 'size_t']),
  madvise: bind('madvise', 'int', ['uintptr_t', 'size_t', 'int']),
  mmap: bind('mmap', 'int64_t', ['uintptr_t', 'size_t', 'int', 'int', 'int', 'int64_t']),
  munmap: bind('munmap', 'int', ['uintptr_t', 'size_t']),
} as const;

/** Bytes. */
export const MEMORY_PAGE_SIZE = calls.getpagesize();

/**
 * Keeps whole pages in memory, and out of core dumps as far as the system allows.
 * @returns false when they may be swapped out (RLIMIT_MEMLOCK)
 */
export function lockPages(address: number, length: number): boolean {
  const isLocked = calls.mlock(address, length) === 0;
  calls.madvise(address, length, MADV_DONTDUMP);
  return isLocked;
}

/** Undoes {@link lockPages}. */
export function unlockPages(address: number, length: number): void {
  calls.munlock(address, length);
  calls.madvise(address, length, MADV_DODUMP);
}

/** Makes zeroed memory on pages of its own, of which each takes space once it is used. @throws Error */
export function mapPages(length: number): Region {
  return mapped(calls.mmap(0, length, PROT_READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), length);
}

/** Maps the memory that an open file, such as an io_uring, shares with the kernel. @throws Error */
export function mapShared(fd: number, offset: number, length: number): Region {
  return mapped(calls.mmap(0, length, PROT_READ_WRITE, MAP_SHARED | MAP_POPULATE, fd, offset), length);
}

function mapped(address: number, length: number): Region {
  if (address === -1) throw systemError('mmap');
  return new Region(memoryAt(address, length));
}

/** Gives the space of {@link mapPages} back: they are zeros again, and stay usable. They must not be locked. */
export function discardPages({ address, length }: Region): void {
  calls.madvise(address, length, MADV_DONTNEED);
}

/** Undoes {@link mapPages} or {@link mapShared}. Nothing may use the region any more. */
export function unmap({ address, length }: Region): void {
  calls.munmap(address, length);
}

/** Asks for huge pages, where the system has them; in vain is no failure. Works only on memory that is not used yet. */
export function preferHugePages(address: number, length: number): void {
  calls.madvise(address, length, MADV_HUGEPAGE);
}

/** Gives the memory of whole pages that are not locked back; they read as zeros from then on. */
export function givePagesBack(address: number, length: number): void {
  calls.madvise(address, length, MADV_DONTNEED);
}
