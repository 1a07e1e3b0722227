import { bind } from './native.ts';

/** Pages of memory. Advice is that of asm-generic/mman-common.h. */

const MADV_DONTDUMP = 16;
const MADV_DODUMP = 17;

const calls = {
  getpagesize: bind('getpagesize', 'int', []),
  mlock: bind('mlock', 'int', ['uintptr_t', 'size_t']),
  munlock: bind('munlock', 'int', ['uintptr_t', 'size_t']),
  madvise: bind('madvise', 'int', ['uintptr_t', 'size_t', 'int']),
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
