import fc from 'fast-check';
import { expect, test } from 'vitest';
import { TouchedBlocks } from '../../../../src/remote/lazy/touched-blocks.ts';

test('blocks are in the order in which they were read first', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 3000 }),
      fc.array(fc.nat(2999), { minLength: 1000, maxLength: 2000 }),
      (count, reads) => {
        const touched = new TouchedBlocks(count);
        const inside = reads.filter((block) => block < count);
        for (const block of inside) touched.add(block);
        expect([...touched.inOrder()]).toEqual([...new Set(inside)]);
        expect(touched.count).toBe(new Set(inside).size);
      },
    ),
    { numRuns: 20 },
  );
});

test('a block that the image does not have is left out', () => {
  const touched = new TouchedBlocks(8);
  touched.add(8);
  expect(touched.count).toBe(0);
});
