import { readFileSync } from 'node:fs';

/** The kernel has a queue of requests for each processor that there may ever be, and serves none unless it has all. */

/** Bytes of memory for all queues of a mount together, where they are not so many that each has the least. */
const MAX_MEMORY = 16 << 20;
const MIN_CAPACITY = 64 << 10;
const PAGE_SIZE = 4096;

/** Returns the number of queues. @throws Error when the kernel does not tell */
export function countQueues(): number {
  return countProcessors(readFileSync('/sys/devices/system/cpu/possible', 'utf8'));
}

/** Returns how many processors a list of the kernel has, such as `0-3,8`. @throws RangeError when it is none */
export function countProcessors(list: string): number {
  let count = 0;
  for (const range of list.trim().split(',')) {
    const [, first, last = first] = /^(\d+)(?:-(\d+))?$/.exec(range) ?? [];
    const length = Number(last) - Number(first) + 1;
    if (!(length >= 1)) throw new RangeError(`not a list of processors: ${list}`);
    count += length;
  }
  return count;
}

/** Returns the queues of one of the threads of a mount: each thread has as many as the others, or one more. */
export function queuesOf(thread: number, threads: number, queues: number): number[] {
  return Array.from({ length: queues }, (_, queue) => queue).filter((queue) => queue % threads === thread);
}

/**
 * Returns the bytes of the largest READ: as many as without io_uring, and fewer where there are so many queues that
 * their memory, which is locked, would become too much.
 * @param largest a multiple of the page size
 */
export function capacityOf(queues: number, largest: number): number {
  const share = Math.floor(MAX_MEMORY / queues / PAGE_SIZE) * PAGE_SIZE;
  return Math.min(largest, Math.max(MIN_CAPACITY, share));
}
