import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { capacityOf, countProcessors, countQueues, queuesOf } from '../../../../src/fuse/uring/queues.ts';

describe('the queues of a mount', () => {
  test.each([
    ['0\n', 1],
    ['0-1\n', 2],
    ['0-63', 64],
    ['0-3,8,10-11\n', 7],
  ])('the list %j has %i processors', (list, count) => {
    expect(countProcessors(list)).toBe(count);
  });

  test.each(['', '\n', 'a', '0-', '3-1', '0-1,', '-1', '0 1'])('%j is no list of processors', (list) => {
    expect(() => countProcessors(list)).toThrow(RangeError);
  });

  test('there is one at least on this machine', () => {
    expect(countQueues()).toBeGreaterThanOrEqual(1);
  });

  test('each belongs to one thread, and no thread has more than one more than another', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 64 }), (queues, threads) => {
        const parts = Array.from({ length: threads }, (_, thread) => queuesOf(thread, threads, queues));
        expect(parts.flat().sort((a, b) => a - b)).toEqual(Array.from({ length: queues }, (_, queue) => queue));
        const lengths = parts.map(({ length }) => length);
        expect(Math.max(...lengths) - Math.min(...lengths)).toBeLessThanOrEqual(1);
      }),
    );
  });

  test('a thread more than there are queues has none', () => {
    expect(queuesOf(2, 2, 2)).toEqual([]);
    expect(queuesOf(5, 2, 4)).toEqual([]);
  });

  test.each([
    [1, 1 << 20],
    [16, 1 << 20],
    [64, 256 << 10],
    [256, 64 << 10],
    [4096, 64 << 10],
    [17, 960 << 10],
  ])('with %i of them the largest read has %i bytes', (queues, capacity) => {
    expect(capacityOf(queues, 1 << 20)).toBe(capacity);
  });

  test('the largest read is one of whole pages, and never larger than without io_uring', () => {
    for (let queues = 1; queues < 600; queues++) {
      expect(capacityOf(queues, 1 << 20) % 4096).toBe(0);
      expect(capacityOf(queues, 65_536)).toBe(65_536);
    }
  });
});
