import { availableParallelism } from 'node:os';
import { expect, test } from 'vitest';
import { MAX_JOBS, workersFor } from '../../../../src/image/workers/worker-count.ts';

const MIB = 1 << 20;

test.each([
  ['nothing', { bytes: 0, pieces: 0 }],
  ['a small directory', { bytes: 300 << 10, pieces: 10 }],
  ['less than two threads are worth', { bytes: 255 * MIB, pieces: 1 }],
])('%s is for one thread', (_, work) => {
  expect(workersFor(work, 16)).toBe(1);
});

test('more bytes are for more threads, up to one per core', () => {
  expect(workersFor({ bytes: 256 * MIB, pieces: 1 }, 16)).toBe(2);
  expect(workersFor({ bytes: 1024 * MIB, pieces: 1 }, 16)).toBe(8);
  expect(workersFor({ bytes: 1e12, pieces: 1 }, 16)).toBe(16);
  expect(workersFor({ bytes: 1e12, pieces: 1 }, 1)).toBe(1);
});

test('many tiny files are for more threads too', () => {
  expect(workersFor({ bytes: 4000, pieces: 4000 }, 16)).toBe(1);
  expect(workersFor({ bytes: 40_000, pieces: 40_000 }, 16)).toBe(2);
});

test('no machine has too many cores', () => {
  expect(workersFor({ bytes: Number.MAX_SAFE_INTEGER, pieces: 1 }, 1000)).toBe(MAX_JOBS);
  const here = workersFor({ bytes: Number.MAX_SAFE_INTEGER, pieces: 1 });
  expect(here).toBe(Math.min(availableParallelism(), MAX_JOBS));
});
