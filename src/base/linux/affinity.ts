import { bind, Region } from './native.ts';

/** The processors that a thread may run on. */

/** Bytes of a mask: 8,192 processors, the most that Linux can be built for. */
const MASK_SIZE = 1024;

const calls = {
  get: bind('sched_getaffinity', 'int', ['int', 'size_t', 'uintptr_t']),
  set: bind('sched_setaffinity', 'int', ['int', 'size_t', 'uintptr_t']),
} as const;

/**
 * Keeps this thread on those of the given processors that it may run on already. Does nothing where there is none, so
 * that a limit set from outside stays as it is.
 */
export function keepOnProcessors(processors: Iterable<number>): void {
  const allowed = new Region(MASK_SIZE);
  if (calls.get(0, MASK_SIZE, allowed.address) < 0) return;
  const wanted = new Region(MASK_SIZE);
  let isAny = false;
  for (const processor of processors) {
    const bit = (allowed.bytes[processor >> 3] ?? 0) & (1 << (processor & 7));
    if (bit === 0) continue;
    wanted.bytes[processor >> 3] = (wanted.bytes[processor >> 3] ?? 0) | bit;
    isAny = true;
  }
  if (isAny) calls.set(0, MASK_SIZE, wanted.address);
}
