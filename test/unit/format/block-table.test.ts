// Goal: the table says where each packed block is, exactly as the parts are packed, and no other table is believed.
import { hash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MalformedError } from '../../../src/base/bytes.ts';
import { BlockTable, setBlockEntry } from '../../../src/format/block-table.ts';
import { packBlock, packPart } from '../../../src/format/packed-part.ts';
import { blockSizeFor, objectFileName, type RemoteIndex } from '../../../src/format/remote-index.ts';

const PAGE = 4096;
const sha256 = (bytes: Buffer): string => hash('sha256', bytes);
const idOf = (object: number): string => object.toString(16).padStart(32, '0');

/** The index, the table and the packed parts of objects, whose pages are given: 0 for one of zeros. */
function pushed(objects: readonly (readonly number[])[], partSize: number) {
  const packed = new Map<string, Buffer>();
  const blocks: Buffer[] = [];
  const file = (name: string, bytes: Buffer) => {
    const parts = [];
    for (let at = 0; at < bytes.length; at += partSize) {
      const part = packPart(bytes.subarray(at, at + partSize));
      packed.set(sha256(part), part);
      parts.push({ digest: sha256(part), size: part.length });
    }
    return { name, size: bytes.length, parts };
  };
  const contents = objects.map((pages) => Buffer.concat(pages.map((value) => Buffer.alloc(PAGE, value))));
  for (const bytes of contents) {
    const blockSize = blockSizeFor(partSize);
    for (let at = 0; at < bytes.length; at += blockSize) blocks.push(packBlock(bytes.subarray(at, at + blockSize)));
  }
  const table = Buffer.alloc(17 * blocks.length);
  for (const [block, each] of blocks.entries())
    setBlockEntry(table, block, each.length, hash('sha256', each, 'buffer'));
  const index: RemoteIndex = {
    imageId: '11'.repeat(16),
    cipher: 'aes-256-xts',
    partSize,
    files: [
      file('ckptfs.json', Buffer.from('header')),
      file('manifest', Buffer.from('manifest')),
      ...contents.map((bytes, object) => file(objectFileName(idOf(object)), bytes)),
    ],
    blocks: { size: table.length, parts: [] },
  };
  return { index, table, packed, blocks };
}

const images = fc
  .record({
    objects: fc.array(fc.array(fc.constantFrom(0, 0, 1, 2), { minLength: 1, maxLength: 200 }), { maxLength: 5 }),
    log: fc.constantFrom(12, 14, 18, 19, 20),
  })
  .map(({ objects, log }) => pushed(objects, 2 ** log));

test('each block is found in its packed part, and has the bytes and the digest that the table says', () => {
  fc.assert(
    fc.property(images, ({ index, table, packed, blocks }) => {
      const parsed = new BlockTable(table, index);
      expect(parsed.count).toBe(blocks.length);
      for (const [block, bytes] of blocks.entries()) {
        const { file, part, offset, packedSize, digest, pages } = parsed.placeOf(block);
        const stored = packed.get(index.files[file]?.parts[part]?.digest ?? '');
        expect(stored?.subarray(offset, offset + packedSize).equals(bytes)).toBe(true);
        expect(sha256(bytes).slice(0, 32)).toBe(digest);
        expect(parsed.pagesOf(block)).toBe(pages);
      }
    }),
    { numRuns: 30 },
  );
});

test('what was parsed encodes to the same bytes', () => {
  fc.assert(
    fc.property(images, ({ index, table }) => {
      const parsed = new BlockTable(table, index);
      const again = Buffer.alloc(table.length);
      for (let block = 0; block < parsed.count; block++) {
        const { packedSize, digest } = parsed.placeOf(block);
        setBlockEntry(again, block, packedSize, Buffer.from(digest, 'hex'));
      }
      expect(again).toEqual(table);
    }),
    { numRuns: 30 },
  );
});

test('the blocks of an object have all of its bytes, in order', () => {
  fc.assert(
    fc.property(images, ({ index, table }) => {
      const parsed = new BlockTable(table, index);
      let next = 0;
      for (const [file, { size }] of index.files.entries()) {
        if (file < 2) continue;
        const found = parsed.ofObject(idOf(file - 2));
        expect(found).toMatchObject({ file, first: next, size });
        let at = 0;
        for (; next < (found?.first ?? 0) + (found?.count ?? 0); next++) {
          const place = parsed.placeOf(next);
          expect(place).toMatchObject({ file, start: at });
          at += place.length;
        }
        expect(at).toBe(size);
      }
      expect(next).toBe(parsed.count);
      expect(parsed.ofObject(idOf(99))).toBeUndefined();
    }),
    { numRuns: 30 },
  );
});

test('a table that was altered in any byte is refused, or differs in digests alone', () => {
  const { index, table } = pushed([[1, 0, 2], Array(100).fill(0), Array(130).fill(1)], 2 ** 19);
  const sizes = (parsed: BlockTable) => Array.from({ length: parsed.count }, (_, block) => parsed.pagesOf(block));
  const good = sizes(new BlockTable(table, index));
  fc.assert(
    fc.property(fc.nat({ max: table.length - 1 }), fc.integer({ min: 1, max: 255 }), (at, mask) => {
      const altered = Buffer.from(table);
      altered[at] = (altered[at] ?? 0) ^ mask;
      try {
        expect(sizes(new BlockTable(altered, index))).toEqual(good);
        expect(at % 17).not.toBe(0);
      } catch (error) {
        expect(error).toBeInstanceOf(MalformedError);
      }
    }),
  );
});

describe('a table is refused', () => {
  // Four blocks: 64 pages and 1 page in one part, no page, 2 of 3 pages.
  const { index, table } = pushed([[...Array(64).fill(1), 1], Array(64).fill(0), [1, 1, 0]], 2 ** 20);
  const altered = (values: Readonly<Record<number, number>>): Buffer => {
    const bytes = Buffer.from(table);
    for (const [at, value] of Object.entries(values)) bytes[Number(at)] = value;
    return bytes;
  };

  test.each([
    ['of nothing', Buffer.alloc(0)],
    ['that is cut', table.subarray(0, -1)],
    ['of a block too few', table.subarray(0, -17)],
    ['of a block too many', Buffer.concat([table, Buffer.alloc(17)])],
    ['with a page too few', altered({ 0: 63 })],
    ['with a page too many', altered({ 51: 3 })],
    ['with pages past the end of an object', altered({ 51: 4 })],
    ['that moves a page past the end of a block', altered({ 0: 63, 17: 2 })],
    ['with more pages than a block has', altered({ 0: 65, 17: 0 })],
    ['with another digest of nothing', altered({ 35: 0 })],
  ])('%s', (_, bytes) => {
    expect(new BlockTable(table, index).count).toBe(4);
    expect(() => new BlockTable(bytes, index)).toThrow(MalformedError);
  });
});

test('there is no place of a block that the image does not have', () => {
  const { index, table } = pushed([[1]], 2 ** 20);
  const parsed = new BlockTable(table, index);
  for (const block of [-1, 1, 0.5, 2 ** 40, Number.NaN]) expect(() => parsed.placeOf(block)).toThrow(RangeError);
});

test('a block of no pages has the digest of 8 zero bytes', () => {
  const { index, table } = pushed([[0]], 2 ** 20);
  expect(new BlockTable(table, index).placeOf(0)).toMatchObject({
    pages: 0,
    packedSize: 8,
    length: PAGE,
    digest: sha256(Buffer.alloc(8)).slice(0, 32),
  });
});

test('parts of the greatest size are no exception', () => {
  const size = 2 ** 34;
  const count = size / 262_144;
  const entry = Buffer.alloc(17);
  setBlockEntry(entry, 0, 8, hash('sha256', Buffer.alloc(8), 'buffer'));
  const digest = 'ab'.repeat(32);
  const parts = Array.from({ length: 4 }, () => ({ digest, size: (8 * count) / 4 }));
  const files = [{ name: objectFileName(idOf(0)), size, parts }];
  const index = { imageId: '', cipher: '', partSize: 2 ** 32, files, blocks: { size: 17 * count, parts: [] } };
  const parsed = new BlockTable(Buffer.alloc(17 * count, entry), index);
  expect(parsed.placeOf(count - 1)).toMatchObject({ part: 3, offset: 8 * 16_383, start: size - 262_144 });
});
