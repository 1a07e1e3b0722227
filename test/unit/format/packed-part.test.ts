// Goal: what is packed is unpacked again in whatever pieces it comes, and nothing else is taken for whole.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PACKED_BLOCK_SIZE, PartUnpacker, packedSizes, packPart } from '../../../src/format/packed-part.ts';

const PAGE = 4096;
/** Parts of some pages, each of zeros or not, and a rest. */
const parts = fc
  .record({
    pages: fc.array(fc.constantFrom(0, 0, 7), { maxLength: 150 }),
    rest: fc.integer({ min: 1, max: PAGE }),
  })
  .map(({ pages, rest }) =>
    Buffer.concat([...pages.map((value) => Buffer.alloc(PAGE, value)), Buffer.alloc(rest, rest % 2)]),
  );

function unpack(packed: Buffer, length: number, piece = packed.length): Buffer | undefined {
  const blocks: Buffer[] = [];
  const memory = Buffer.alloc(PACKED_BLOCK_SIZE, 'x');
  const unpacker = new PartUnpacker(length, memory, (block) => blocks.push(Buffer.from(block)));
  for (let at = 0; at < packed.length; at += piece) unpacker.write(packed.subarray(at, at + piece));
  return unpacker.isWhole ? Buffer.concat(blocks) : undefined;
}

test('what is packed is unpacked, in pieces of any size', () => {
  fc.assert(
    fc.property(parts, fc.integer({ min: 1, max: 300_000 }), (part, piece) => {
      const packed = packPart(part);
      const { least, most } = packedSizes(part.length);
      expect(packed.length).toBeGreaterThanOrEqual(least);
      expect(packed.length).toBeLessThanOrEqual(most);
      expect(unpack(packed, part.length, Math.max(piece, packed.length >> 8))?.equals(part)).toBe(true);
    }),
    { numRuns: 30 },
  );
});

test('pages of zeros take no bytes', () => {
  expect(packPart(Buffer.alloc(2 * PACKED_BLOCK_SIZE))).toEqual(Buffer.alloc(16));
  const part = Buffer.concat([Buffer.alloc(PAGE), Buffer.alloc(10, 'x')]);
  expect(packPart(part)).toEqual(Buffer.concat([Buffer.from([2, 0, 0, 0, 0, 0, 0, 0]), Buffer.alloc(10, 'x')]));
});

test('what is hostile is refused, or is packed in its one form', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), fc.integer({ min: 1, max: 30 }), (bytes, length) => {
      const packed = Buffer.from(bytes);
      const part = unpack(packed, length);
      if (part !== undefined) expect(packPart(part)).toEqual(packed);
    }),
  );
});

describe('a packed part is refused', () => {
  const part = Buffer.alloc(PAGE + 100, 'part');
  const packed = packPart(part);
  const altered = (map: number): Buffer => Buffer.concat([Buffer.from([map]), packed.subarray(1)]);
  test.each([
    ['that is cut', packed.subarray(0, -1)],
    ['that ends in its map', packed.subarray(0, 5)],
    ['of nothing', Buffer.alloc(0)],
    ['with a byte after it', Buffer.concat([packed, Buffer.alloc(1)])],
    ['with a page past its end', altered(0b111)],
    ['without a page of those that follow', altered(0b01)],
    ['with a page of zeros', Buffer.concat([packed.subarray(0, 8 + PAGE), Buffer.alloc(100)])],
  ])('%s', (_, bytes) => {
    expect(unpack(packed, part.length)).toEqual(part);
    expect(unpack(bytes, part.length)).toBeUndefined();
  });
});
