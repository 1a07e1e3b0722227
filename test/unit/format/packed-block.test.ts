import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PackedBlock } from '../../../src/format/packed-block.ts';
import { packBlock } from '../../../src/format/packed-part.ts';

const PAGE_SIZE = 4096;

/** A block of whole pages, each of which is zeros or not. */
const blocks = fc.array(fc.boolean(), { minLength: 1, maxLength: 64 }).map((pages) => {
  return Buffer.concat(pages.map((isStored, page) => Buffer.alloc(PAGE_SIZE, isStored ? page + 1 : 0)));
});

test('any range of a packed block is what was packed', () => {
  fc.assert(
    fc.property(blocks, fc.nat(), fc.nat(), (block, a, b) => {
      const start = a % block.length;
      const length = b % (block.length - start + 1);
      const to = Buffer.alloc(length + 7, 0xee);
      PackedBlock.from(packBlock(block), block.length)?.copy(to, 5, start, length);
      expect(to.subarray(5, 5 + length).equals(block.subarray(start, start + length))).toBe(true);
      expect([...to.subarray(0, 5), ...to.subarray(5 + length)]).toEqual(Array(7).fill(0xee));
    }),
    { numRuns: 30 },
  );
});

test('a map that does not fit what follows is refused', () => {
  const packed = packBlock(Buffer.alloc(2 * PAGE_SIZE, 1));
  expect(PackedBlock.from(packed, 2 * PAGE_SIZE)).toBeDefined();
  expect(PackedBlock.from(packed, PAGE_SIZE)).toBeUndefined();
  expect(PackedBlock.from(packed.subarray(0, -1), 2 * PAGE_SIZE)).toBeUndefined();
  expect(PackedBlock.from(Buffer.concat([packed, Buffer.alloc(PAGE_SIZE)]), 2 * PAGE_SIZE)).toBeUndefined();
  expect(PackedBlock.from(Buffer.alloc(0), PAGE_SIZE)?.packed).toBeUndefined();
  const more = Buffer.from(packed);
  more[7] = 0x80;
  expect(PackedBlock.from(more, 64 * PAGE_SIZE)).toBeUndefined();
});
