import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { BlockPlace, BlockTable } from '../../../../src/format/block-table.ts';
import { blocksIn, planRuns } from '../../../../src/remote/lazy/plan-runs.ts';

/** An image of one object in parts of 100 blocks, of which each has so many pages. */
function placesOf(pages: readonly number[]): Pick<BlockTable, 'pagesOf' | 'placeOf'> {
  const offsets: number[] = [];
  for (const [block, count] of pages.entries())
    offsets[block + 1] = (block + 1) % 100 === 0 ? 0 : (offsets[block] ?? 0) + 8 + 4096 * count;
  const placeOf = (block: number): BlockPlace => ({
    file: 2,
    part: Math.floor(block / 100),
    start: block * 262_144,
    length: 262_144,
    pages: pages[block] ?? 0,
    packedSize: 8 + 4096 * (pages[block] ?? 0),
    offset: offsets[block] ?? 0,
    digest: 'ab'.repeat(16),
  });
  return { placeOf, pagesOf: (block) => placeOf(block).pages };
}

const full = placesOf(Array(300).fill(64));
const shortened = (runs: Iterable<{ blocks: readonly { block: number }[] }>): number[][] =>
  [...runs].map(({ blocks }) => blocks.map(({ block }) => block));

test('blocks that follow each other in a part are one request', () => {
  expect(shortened(planRuns([5, 6, 7, 20, 98, 99, 100, 3, 4], full))).toEqual([
    [5, 6, 7],
    [20],
    [98, 99],
    [100],
    [3, 4],
  ]);
  expect([...planRuns([], full)]).toEqual([]);
});

test('a request has at most 8 MiB', () => {
  const runs = [...planRuns(blocksIn({ first: 0, end: 100 }), full)];
  expect(runs.map(({ blocks }) => blocks.length)).toEqual([31, 31, 31, 7]);
  for (const { start, end } of runs) expect(end - start).toBeLessThanOrEqual(8_388_608);
});

test('blocks of no pages are passed over, and end no request', () => {
  const places = placesOf([64, 0, 0, 1, 0]);
  expect([...planRuns(blocksIn({ first: 0, end: 5 }), places)]).toEqual([
    expect.objectContaining({ start: 0, end: 262_152 + 8 + 8 + 4104 }),
  ]);
  expect(shortened(planRuns(blocksIn({ first: 0, end: 5 }), places))).toEqual([[0, 3]]);
  expect(shortened(planRuns([1, 2, 4], places))).toEqual([]);
});

test('every wanted block with pages is asked for, in its order, and a request is what its blocks are', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom(0, 1, 64), { minLength: 1, maxLength: 250 }),
      fc.array(fc.nat(249), { maxLength: 100 }),
      (pages, picked) => {
        const places = placesOf(pages);
        const wanted = picked.filter((block) => block < pages.length);
        const runs = [...planRuns(wanted, places)];
        expect(shortened(runs).flat()).toEqual(wanted.filter((block) => places.placeOf(block).pages > 0));
        for (const { part, blocks, start, end } of runs) {
          for (const block of blocks) expect(block.part).toBe(part);
          const [first, last] = [blocks[0]?.block ?? 0, blocks.at(-1)?.block ?? 0];
          let bytes = 0;
          for (let block = first; block <= last; block++) bytes += places.placeOf(block).packedSize;
          expect(end - start).toBe(bytes);
        }
      },
    ),
  );
});
