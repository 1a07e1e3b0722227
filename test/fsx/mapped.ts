import { bind, lastErrno, Region } from '../../src/base/linux/native.ts';
import { systemError } from '../../src/base/linux/system-error.ts';

/** System calls on the content of an open file that Node has no function for. */

const calls = {
  mmap: bind('mmap', 'int64_t', ['uintptr_t', 'size_t', 'int', 'int', 'int', 'int64_t']),
  munmap: bind('munmap', 'int', ['uintptr_t', 'size_t']),
  madvise: bind('madvise', 'int', ['uintptr_t', 'size_t', 'int']),
  msync: bind('msync', 'int', ['uintptr_t', 'size_t', 'int']),
  memcpy: bind('memcpy', 'int64_t', ['uintptr_t', 'uintptr_t', 'size_t']),
  fallocate: bind('fallocate', 'int', ['int', 'int', 'int64_t', 'int64_t']),
  fadvise: bind('posix_fadvise', 'int', ['int', 'int64_t', 'int64_t', 'int']),
} as const;

const PROT_READ = 1;
const PROT_WRITE = 2;
const MAP_SHARED = 1;
const MADV_POPULATE_READ = 22;
const MADV_POPULATE_WRITE = 23;
const MS_SYNC = 4;
const FADV_DONTNEED = 4;
const PAGE = 4096;

export const KEEP_SIZE = 1;
export const PUNCH_HOLE = 2;
export const ZERO_RANGE = 16;

function checked(syscall: string, result: number): number {
  if (result === -1) throw systemError(syscall, lastErrno());
  return result;
}

/**
 * Runs something on a shared mapping of the pages around a range. They are all there before it is touched: a page that
 * cannot be had later would be a SIGBUS, while here it is an Error.
 */
function withMapping(
  fd: number,
  offset: number,
  length: number,
  writes: boolean,
  work: (address: number) => void,
): void {
  const start = Math.floor(offset / PAGE) * PAGE;
  const size = offset + length - start;
  const protection = writes ? PROT_READ | PROT_WRITE : PROT_READ;
  const address = checked('mmap', calls.mmap(0, size, protection, MAP_SHARED, fd, start));
  try {
    checked('madvise', calls.madvise(address, size, writes ? MADV_POPULATE_WRITE : MADV_POPULATE_READ));
    work(address + offset - start);
  } finally {
    calls.munmap(address, size);
  }
}

/** Reads a range within a file through a shared mapping. */
export function readMapped(fd: number, offset: number, length: number): Buffer {
  const out = new Region(length);
  withMapping(fd, offset, length, false, (address) => calls.memcpy(out.address, address, length));
  return out.bytes;
}

/** Writes a range within a file through a shared mapping. @param syncs whether by msync(2), or as munmap(2) does it */
export function writeMapped(fd: number, offset: number, bytes: Buffer, syncs: boolean): void {
  const from = new Region(bytes);
  withMapping(fd, offset, bytes.length, true, (address) => {
    calls.memcpy(address, from.address, bytes.length);
    const start = Math.floor(address / PAGE) * PAGE;
    if (syncs) checked('msync', calls.msync(start, address + bytes.length - start, MS_SYNC));
  });
}

/** fallocate(2). */
export function allocate(fd: number, mode: number, offset: number, length: number): void {
  checked('fallocate', calls.fallocate(fd, mode, offset, length));
}

/** Takes the clean pages of a file out of the page cache. */
export function dropPages(fd: number): void {
  calls.fadvise(fd, 0, 0, FADV_DONTNEED);
}
