import { describe, expect, test } from 'vitest';
import type { Extent } from '../../../../src/format/manifest.ts';
import { dataBytes, firstExtentPast, seekExtent } from '../../../../src/image/read/extents.ts';

function extent(fileOffset: number, length: number): Extent {
  return { fileOffset, object: 0, objectOffset: 0, length };
}

const extents = [extent(0, 4096), extent(8192, 4096), extent(12288, 100), extent(20480, 10)];
const size = 30000;

describe('extents', () => {
  test('firstExtentPast agrees with a plain search at every edge', () => {
    for (let offset = 0; offset < 25000; offset++) {
      const plain = extents.findIndex((e) => e.fileOffset + e.length > offset);
      expect(firstExtentPast(extents, offset)).toBe(plain === -1 ? extents.length : plain);
    }
    expect(firstExtentPast([], 0)).toBe(0);
  });

  test('seekExtent agrees with a map of bytes', () => {
    const data = new Uint8Array(size);
    for (const { fileOffset, length } of extents) data.fill(1, fileOffset, fileOffset + length);
    for (let offset = 0; offset < size + 2; offset++) {
      const nextData = offset < size ? data.indexOf(1, offset) : -1;
      const nextHole = offset < size ? data.indexOf(0, offset) : -1;
      expect(seekExtent(extents, size, offset, 'data')).toBe(nextData === -1 ? undefined : nextData);
      expect(seekExtent(extents, size, offset, 'hole')).toBe(
        offset >= size ? undefined : nextHole === -1 ? size : nextHole,
      );
    }
  });

  test('a file that ends with data has a hole at its end', () => {
    expect(seekExtent([extent(0, 5000)], 5000, 10, 'hole')).toBe(5000);
    expect(seekExtent([], 5000, 10, 'hole')).toBe(10);
    expect(seekExtent([], 5000, 10, 'data')).toBeUndefined();
    expect(seekExtent([], 0, 0, 'hole')).toBeUndefined();
  });

  test('dataBytes', () => {
    expect(dataBytes(extents)).toBe(8302);
  });
});
