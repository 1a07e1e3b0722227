import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Geometry, isChunkSize, PAGE_SIZE } from '../../../src/format/geometry.ts';

const sizes = [4096, 8192, 16384, 32768, 65536];

describe('Geometry', () => {
  test('chunk sizes are the powers of two from 4 to 64 KiB and nothing else', () => {
    for (let size = 0; size <= 131072; size += 1024) expect(isChunkSize(size)).toBe(sizes.includes(size));
    for (const size of [-4096, 4096.5, Number.NaN, 2 ** 32 + 4096]) expect(isChunkSize(size)).toBe(false);
    expect(() => new Geometry(12288)).toThrow(RangeError);
  });

  test('the worked sizes of format.md §11', () => {
    const geometry = new Geometry(16384);
    const MiB = 1 << 20;
    const worked: readonly (readonly [number, number, number, number])[] = [
      [1, 1, 1, 24_576],
      [MiB, 64, 1, 1_056_768],
      [MiB + 1, 65, 2, 1_077_248],
      [2 * MiB, 128, 2, 2_109_440],
      [1 << 30, 65_536, 1024, 1_077_940_224],
    ];
    for (const [length, chunks, groups, size] of worked) {
      expect(geometry.chunksFor(length)).toBe(chunks);
      expect(geometry.groupsFor(chunks)).toBe(groups);
      expect(geometry.objectSize(chunks)).toBe(size);
    }
  });

  test('the sizes of records and groups of format.md §6', () => {
    const table = sizes.map((size) => {
      const { sectorsPerChunk, recordSize, chunksPerGroup, groupSize } = new Geometry(size);
      return [sectorsPerChunk, recordSize, chunksPerGroup, groupSize >> 10];
    });
    expect(table).toEqual([
      [1, 32, 128, 512],
      [2, 64, 64, 512],
      [4, 64, 64, 1024],
      [8, 128, 32, 1024],
      [16, 256, 16, 1024],
    ]);
  });

  test('chunks and tag pages tile the file without gap or overlap, at every edge', () => {
    for (const size of sizes) {
      const geometry = new Geometry(size);
      let expected = PAGE_SIZE;
      const { chunksPerGroup } = geometry;
      for (let chunk = 0; chunk <= 3 * chunksPerGroup; chunk++) {
        if (chunk % chunksPerGroup === 0) {
          expect(geometry.tagPageOffset(chunk / chunksPerGroup)).toBe(expected);
          expected += PAGE_SIZE;
        }
        expect(geometry.chunkOffset(chunk)).toBe(expected);
        expect(geometry.dataOffset(chunk * size + 4095)).toBe(expected + 4095);
        expect(geometry.recordOffset(chunk)).toBe((chunk % chunksPerGroup) * geometry.recordSize);
        expected += size;
        expect(geometry.objectSize(chunk + 1)).toBe(expected);
      }
    }
  });

  test('arithmetic is exact at the far end', () => {
    fc.assert(
      fc.property(fc.constantFrom(...sizes), fc.integer({ min: 0, max: 2 ** 32 - 1 }), (size, chunk) => {
        const geometry = new Geometry(size);
        const count = BigInt(geometry.chunksPerGroup);
        const group = BigInt(chunk) / count;
        const exact = 4096n + group * (4096n + count * BigInt(size)) + 4096n + (BigInt(chunk) % count) * BigInt(size);
        expect(BigInt(geometry.chunkOffset(chunk))).toBe(exact);
      }),
    );
  });
});
