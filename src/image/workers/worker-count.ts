import { availableParallelism } from 'node:os';

/** How much a run has to do. */
export interface Work {
  readonly bytes: number;
  /** What is opened or read on its own, such as files. */
  readonly pieces: number;
}

export const MAX_JOBS = 256;

/**
 * A thread takes 40 to 80 ms of processor time to load, and more where it reads a long manifest. On two busy cores,
 * two threads begin to be faster than one between 256 and 512 MiB.
 */
const BYTES_OF_WORKER = 128 << 20;
/** A piece counts as so many bytes more: two threads encrypt 40,000 tiny files about as fast as one does. */
const BYTES_OF_PIECE = 8 << 10;

/** Returns how many threads do some work: as many as are worth their start, at least one and at most one per core. */
export function workersFor({ bytes, pieces }: Work, cores = availableParallelism()): number {
  const worthwhile = Math.floor((bytes + pieces * BYTES_OF_PIECE) / BYTES_OF_WORKER);
  return Math.max(1, Math.min(worthwhile, cores, MAX_JOBS));
}
