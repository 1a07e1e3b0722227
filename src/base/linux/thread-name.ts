import { closeSync, openSync, readSync } from 'node:fs';

/** The most bytes that the kernel keeps of a thread's name, and a line feed. */
const MAX_BYTES = 16;

const bytes = Buffer.alloc(MAX_BYTES);

/**
 * Returns the name of a thread as /proc shows it, which the thread may have chosen; undefined when there is no such
 * thread here. It never waits for that thread: the kernel keeps the name itself, not in the thread's memory.
 */
export function threadName(thread: number): string | undefined {
  if (thread === 0) return undefined;
  try {
    const fd = openSync(`/proc/${thread}/comm`, 'r');
    try {
      return bytes.toString('latin1', 0, readSync(fd, bytes, 0, MAX_BYTES, 0)).replace(/\n$/, '');
    } finally {
      closeSync(fd);
    }
  } catch {
    return undefined;
  }
}
