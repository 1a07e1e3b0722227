import { closeSync, openSync, readSync, writeFileSync } from 'node:fs';
import { Region } from '../../base/linux/native.ts';

/** See the kernel's Documentation/admin-guide/mm/soft-dirty.rst. */
const CLEAR_SOFT_DIRTY = '4';
const SOFT_DIRTY_BIT = 1n << 55n;
const ENTRY_SIZE = 8;

const PAGE_SIZE = 4096;

/**
 * Tells whether the kernel records which pages a process writes to, on which pre-dumps depend. Tries it on a page of
 * this process.
 * @throws Error where the kernel has no such files, or this process may not use them
 */
export function tracksWrites(): boolean {
  const memory = new Region(2 * PAGE_SIZE);
  const within = PAGE_SIZE - (memory.address % PAGE_SIZE);
  const pagemap = openSync('/proc/self/pagemap', 'r');
  try {
    const isDirty = (): boolean => {
      const entry = Buffer.alloc(ENTRY_SIZE);
      readSync(pagemap, entry, 0, ENTRY_SIZE, ((memory.address + within) / PAGE_SIZE) * ENTRY_SIZE);
      return (entry.readBigUInt64LE() & SOFT_DIRTY_BIT) !== 0n;
    };
    writeFileSync('/proc/self/clear_refs', CLEAR_SOFT_DIRTY);
    if (isDirty()) return false;
    memory.bytes[within] = 1;
    return isDirty();
  } finally {
    closeSync(pagemap);
  }
}
