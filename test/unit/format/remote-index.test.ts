// Goal: an index is parsed only in its one form, and nothing in a hostile one leads outside of an image.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MalformedError } from '../../../src/base/bytes.ts';
import { PACKED_BLOCK_SIZE, packedSizes } from '../../../src/format/packed-part.ts';
import {
  BLOCK_ENTRY_SIZE,
  countBlocks,
  encodeRemoteIndex,
  MAX_BLOCK_TABLE_SIZE,
  MAX_PART_SIZE,
  objectFileName,
  objectIdOf,
  parseRemoteIndex,
  partSizeFor,
  partsOf,
  type RemoteIndex,
} from '../../../src/format/remote-index.ts';

const hex = (bytes: number) =>
  fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((each) => Buffer.from(each).toString('hex'));

const indexes: fc.Arbitrary<RemoteIndex> = fc
  .record({
    imageId: hex(16),
    log: fc.integer({ min: 12, max: 32 }),
    sizes: fc.array(fc.integer({ min: 1, max: 1_000_000 }), { minLength: 2, maxLength: 6 }),
    ids: fc.uniqueArray(hex(16), { maxLength: 4 }),
    digest: hex(32),
  })
  .map(({ imageId, log, sizes, ids, digest }) => {
    const partSize = 2 ** log;
    const pushed = (size: number) => {
      const sizeOf = (part: number): number => packedSizes(Math.min(partSize, size - part * partSize)).most;
      const parts = Array.from({ length: Math.ceil(size / partSize) }, (_, part) => ({ digest, size: sizeOf(part) }));
      return { size, parts };
    };
    const names = ['ckptfs.json', 'manifest', ...ids.sort().map(objectFileName)];
    const files = names.map((name, index) => {
      const size = sizes[index % sizes.length] ?? 1;
      return { name, ...pushed(index < 2 ? size : Math.ceil(size / 4096) * 4096) };
    });
    const blocks = pushed(BLOCK_ENTRY_SIZE * countBlocks(files, partSize));
    return { imageId, cipher: 'aes-256-xts', partSize, files, blocks };
  });

test('what is encoded is parsed again', () => {
  fc.assert(
    fc.property(indexes, (index) => {
      expect(parseRemoteIndex(encodeRemoteIndex(index))).toEqual(index);
    }),
  );
});

test('what is altered in any byte is refused, or is another index in its own form', () => {
  fc.assert(
    fc.property(indexes, fc.nat(), fc.integer({ min: 1, max: 255 }), (index, place, mask) => {
      const bytes = encodeRemoteIndex(index);
      const at = place % bytes.length;
      bytes[at] = (bytes[at] ?? 0) ^ mask;
      try {
        expect(encodeRemoteIndex(parseRemoteIndex(bytes)).equals(bytes)).toBe(true);
      } catch (error) {
        expect(error).toBeInstanceOf(MalformedError);
      }
    }),
  );
});

describe('an index is refused', () => {
  const digest = 'ab'.repeat(32);
  const part = { digest, size: 12 };
  const file = (name: string, size = 10, parts = [part]) => ({ name, size, parts });
  const good = {
    imageId: '11'.repeat(16),
    cipher: 'aes-256-xts',
    partSize: 4096,
    files: [file('ckptfs.json'), file('manifest'), file(objectFileName('ab'.repeat(16)), 4096)],
    blocks: { size: 17, parts: [part] },
  };
  const [header, manifest, object] = good.files;

  test.each([
    ['a name that leads elsewhere', { files: [header, manifest, file('objects/../../etc/passwd')] }],
    ['an object in the directory of another', { files: [header, manifest, file(`objects/00/${'ab'.repeat(16)}`)] }],
    ['an object twice', { files: [header, manifest, object, object] }],
    ['a journal', { files: [header, manifest, file('journal')] }],
    ['no manifest', { files: [header, object] }],
    ['no files', { files: [] }],
    ['files out of order', { files: [manifest, header, object] }],
    ['a size without its parts', { files: [header, manifest, { ...file('x'), name: object?.name, size: 8192 }] }],
    ['an object that ends within a page', { files: [header, manifest, { ...object, size: 4095 }] }],
    ['no block table', { blocks: { size: 0, parts: [] } }],
    ['a block table of more blocks than there are', { blocks: { size: 34, parts: [part] } }],
    ['a block table without its parts', { blocks: { size: 17, parts: [] } }],
    ['more parts than its size has', { files: [header, manifest, { ...object, parts: [part, part] }] }],
    ['a size of nothing', { files: [header, manifest, { ...object, size: 0, parts: [] }] }],
    ['a size that is negative', { files: [header, manifest, { ...object, size: -1 }] }],
    ['a size with a fraction', { files: [header, manifest, { ...object, size: 1.5 }] }],
    ['a header that is too large', { files: [file('ckptfs.json', 1_048_577, Array(257).fill(part)), manifest] }],
    [
      'a digest in capitals',
      { files: [header, manifest, { ...object, parts: [{ ...part, digest: digest.toUpperCase() }] }] },
    ],
    ['a packed part without its map', { files: [header, manifest, { ...object, parts: [{ ...part, size: 7 }] }] }],
    ['a packed part of more than it has', { files: [header, { ...manifest, parts: [{ ...part, size: 19 }] }, object] }],
    ['a packed part with a fraction', { files: [header, manifest, { ...object, parts: [{ ...part, size: 8.5 }] }] }],
    ['parts of another size than a power of two', { partSize: 5000 }],
    ['parts that are too small', { partSize: 2048 }],
    ['parts that are too large', { partSize: 2 * MAX_PART_SIZE }],
    ['a cipher that is not known', { cipher: 'rot13' }],
    ['no image id', { imageId: '' }],
  ])('for %s', (_, altered) => {
    expect(parseRemoteIndex(encodeRemoteIndex(good))).toEqual(good);
    const bytes = encodeRemoteIndex({ ...good, ...altered } as RemoteIndex);
    expect(() => parseRemoteIndex(bytes)).toThrow(MalformedError);
  });

  test('for a block table of more bytes than one may have', () => {
    const of = (blocks: number): RemoteIndex => {
      const size = blocks * PACKED_BLOCK_SIZE;
      const parts = Array.from({ length: size / MAX_PART_SIZE }, () => ({ digest, size: 8 * 16_384 }));
      const files = [header, manifest, { name: objectFileName('ab'.repeat(16)), size, parts }] as RemoteIndex['files'];
      const table = { size: 17 * blocks, parts: [{ digest, size: 20_000 }] };
      return { ...good, partSize: MAX_PART_SIZE, files, blocks: table };
    };
    expect(parseRemoteIndex(encodeRemoteIndex(of(15 << 20))).blocks.size).toBeLessThanOrEqual(MAX_BLOCK_TABLE_SIZE);
    expect(() => parseRemoteIndex(encodeRemoteIndex(of(16 << 20)))).toThrow(MalformedError);
  });

  test.each(['', 'null', '[]', '{}', '{"format":"ckptfs"}', ' '.repeat(17_000_000)])('for what is not one', (text) => {
    expect(() => parseRemoteIndex(Buffer.from(text))).toThrow(MalformedError);
  });

  test.each([' ', '\n'])('for anything after it', (after) => {
    expect(() => parseRemoteIndex(Buffer.concat([encodeRemoteIndex(good), Buffer.from(after)]))).toThrow(
      MalformedError,
    );
  });
});

test('parts grow with the image, so that there are not too many', () => {
  expect(partSizeFor(0)).toBe(33_554_432);
  expect(partSizeFor(1024 * 33_554_432)).toBe(33_554_432);
  expect(partSizeFor(1024 * 33_554_432 + 1)).toBe(67_108_864);
  expect(partSizeFor(Number.MAX_SAFE_INTEGER)).toBe(MAX_PART_SIZE);
});

test('parts have all bytes of a file', () => {
  const file = { name: 'manifest', size: 10_000, parts: ['a', 'b', 'c'].map((digest) => ({ digest, size: 8 })) };
  expect(partsOf(file, 4096).map(({ length }) => length)).toEqual([4096, 4096, 1808]);
});

test('an object is told by its whole name', () => {
  const id = '0123456789abcdef0123456789abcdef';
  expect(objectIdOf({ name: objectFileName(id) })).toBe(id);
  expect(objectIdOf({ name: `objects/02/${id}` })).toBeUndefined();
});
