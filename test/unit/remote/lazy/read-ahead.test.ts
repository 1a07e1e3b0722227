import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ReadAhead } from '../../../../src/remote/lazy/read-ahead.ts';

const all = (): boolean => true;

test('one block more is fetched with the first one, and ever more of a reader that goes on', () => {
  const ahead = new ReadAhead(1000, all);
  expect(ahead.read(100)).toEqual({ first: 101, end: 102 });
  expect(ahead.read(101)).toEqual({ first: 102, end: 106 });
  expect(ahead.read(102)).toEqual({ first: 106, end: 109 });
  expect(ahead.read(103)).toBeUndefined();
  let end = 109;
  for (let block = 104; block < 600; block++) {
    const range = ahead.read(block);
    if (range === undefined) continue;
    expect(range.first).toBe(end);
    end = range.end;
    expect(end - block - 1).toBe(Math.min(256, 2 * (block - 99)));
  }
});

test.each([
  [64, 64],
  [1000, 256],
  [0.3, 2],
])('with room for %d blocks at most %d are fetched ahead', (room, most) => {
  const ahead = new ReadAhead(10_000, all, room);
  let seen = 0;
  for (let block = 0; block < 2000; block++) seen = Math.max(seen, (ahead.read(block)?.end ?? 0) - block - 1);
  expect(seen).toBe(most);
});

test('where readers do not go on, no more is fetched than they want, until one does', () => {
  const ahead = new ReadAhead(1_000_000, all);
  let more = 0;
  for (let reader = 1; reader < 100; reader++) if (ahead.read(1000 * reader) !== undefined) more++;
  expect(more).toBe(16);
  expect(ahead.read(99_001)).toEqual({ first: 99_002, end: 99_006 });
  expect(ahead.read(500_000)).toEqual({ first: 500_001, end: 500_002 });
});

test('a block that follows none begins anew, and disturbs no other reader', () => {
  const ahead = new ReadAhead(1_000_000, all);
  ahead.read(100);
  for (let reader = 1; reader < 16; reader++)
    expect(ahead.read(reader * 10_000)).toEqual({ first: reader * 10_000 + 1, end: reader * 10_000 + 2 });
  expect(ahead.read(101)).toEqual({ first: 102, end: 106 });
  ahead.read(500_000);
  // The one at 10,000 was forgotten.
  expect(ahead.read(10_001)).toEqual({ first: 10_002, end: 10_003 });
});

test('threads that share a reader may come out of order', () => {
  const ahead = new ReadAhead(1000, all);
  ahead.read(0);
  expect(ahead.read(2)).toEqual({ first: 3, end: 7 });
  expect(ahead.read(1)).toBeUndefined();
  expect(ahead.read(2)).toBeUndefined();
});

test('blocks that are not stored are passed over', () => {
  const ahead = new ReadAhead(1000, (block) => block % 100 === 0);
  expect(ahead.read(0)).toEqual({ first: 100, end: 200 });
  expect(ahead.read(100)).toEqual({ first: 200, end: 600 });
});

test('a hole of any size costs no more to pass than a large one', () => {
  let looks = 0;
  const count = 2 ** 24;
  const ahead = new ReadAhead(count, (block) => {
    looks++;
    return block < 4 || block === count - 1;
  });
  for (const block of [0, 1, 2, 3, count - 1]) {
    const { first, end } = ahead.read(block) ?? { first: 0, end: 0 };
    expect(end - first).toBeLessThan(10_000);
  }
  expect(looks).toBeLessThan(100_000);
});

test('whatever is read, blocks of the image after it are fetched, each once for a reader that goes through', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 400 }),
      fc.array(fc.nat(400), { maxLength: 60 }),
      fc.array(fc.boolean(), { minLength: 1 }),
      (count, reads, pattern) => {
        const isStored = (block: number): boolean => pattern[block % pattern.length] ?? false;
        const ahead = new ReadAhead(count, isStored);
        for (const block of reads.filter((each) => each < count && isStored(each))) {
          const range = ahead.read(block);
          if (range === undefined) continue;
          expect(range.first).toBeGreaterThan(block);
          expect(range.end).toBeGreaterThan(range.first);
          expect(range.end).toBeLessThanOrEqual(count);
        }
        const through = new ReadAhead(count, isStored);
        const asked = new Set<number>();
        for (let block = 0; block < count; block++) {
          if (!isStored(block)) continue;
          const { first, end } = through.read(block) ?? { first: 0, end: 0 };
          for (let each = first; each < end; each++) {
            expect(asked.has(each)).toBe(false);
            asked.add(each);
          }
        }
      },
    ),
  );
});
