import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Region } from '../../../src/base/linux/native.ts';
import { ChunkCompressor } from '../../../src/compression/chunk-compressor.ts';
import { ChunkDecompressor } from '../../../src/compression/chunk-decompressor.ts';
import { MAX_ZSTD_LEVEL, MIN_ZSTD_LEVEL } from '../../../src/compression/zstd-levels.ts';
import { randomBytes } from '../../../src/crypto/system-random.ts';
import { compressionNames } from '../../../src/format/compressions.ts';
import { Geometry, SECTOR_SIZE } from '../../../src/format/geometry.ts';
import { isHole } from '../../../src/format/record.ts';

const sizes = [4096, 8192, 16384, 32768, 65536];

/** A chunk whose sectors are the numbers of a text, noise or zeros, by their kinds. */
function chunkOf(kinds: readonly number[]): Region {
  const sectors = kinds.map((kind, at) => {
    if (kind === 0) return Buffer.alloc(SECTOR_SIZE, `text ${at} `);
    return kind === 1 ? randomBytes(SECTOR_SIZE) : Buffer.alloc(SECTOR_SIZE);
  });
  return new Region(Buffer.concat(sectors));
}

/** What of a chunk counts: its holes are zeros when it is read. */
function withoutHoles(plain: Region, holes: number): Buffer {
  const copy = Buffer.from(plain.bytes);
  for (let sector = 0; sector < copy.length / SECTOR_SIZE; sector++) {
    if (isHole(holes, sector)) copy.fill(0, sector * SECTOR_SIZE, (sector + 1) * SECTOR_SIZE);
  }
  return copy;
}

const anyChunk = fc
  .record({ chunkSize: fc.constantFrom(...sizes), holes: fc.nat(0xffff), seed: fc.array(fc.nat(2), { minLength: 16 }) })
  .map(({ chunkSize, holes, seed }) => {
    const geometry = new Geometry(chunkSize);
    return { chunkSize, holes: holes & geometry.holeMask, kinds: seed.slice(0, geometry.sectorsPerChunk) };
  })
  .map(({ kinds, ...rest }) => ({
    ...rest,
    kinds: [...kinds, ...new Array<number>(rest.chunkSize / SECTOR_SIZE - kinds.length).fill(0)],
  }));

describe.each(compressionNames)('%s', (name) => {
  test('what is compressed is decompressed to the same, with zeros for holes, and takes fewer sectors', () => {
    fc.assert(
      fc.property(anyChunk, ({ chunkSize, holes, kinds }) => {
        const geometry = new Geometry(chunkSize, 'default', name);
        const plain = chunkOf(kinds);
        const before = Buffer.from(plain.bytes);
        const compressor = new ChunkCompressor(name, geometry);
        const sectors = compressor.compress(plain, 0, holes);
        expect(plain.bytes.equals(before)).toBe(true);
        const data = geometry.dataSectors(holes);
        expect(sectors).toBeLessThan(Math.max(1, data));
        if (sectors === 0) return;
        const decompressor = new ChunkDecompressor(geometry);
        compressor.content.bytes.copy(decompressor.content.bytes, 0, 0, sectors * SECTOR_SIZE);
        const to = new Region(Buffer.alloc(chunkSize + 2, 0xee));
        expect(decompressor.decompress(sectors, holes, to, 1)).toBe(true);
        expect(to.bytes.subarray(1, -1).equals(withoutHoles(plain, holes))).toBe(true);
        expect([to.bytes[0], to.bytes.at(-1)]).toEqual([0xee, 0xee]);
      }),
      { numRuns: 60 },
    );
  });

  test.each(sizes)('noise in chunks of %i stays as it is, and so does what has one sector', (chunkSize) => {
    const compressor = new ChunkCompressor(name, new Geometry(chunkSize, 'default', name));
    expect(compressor.compress(new Region(randomBytes(chunkSize)), 0, 0)).toBe(0);
    const onlyFirst = new Geometry(chunkSize).holeMask & ~1;
    expect(compressor.compress(new Region(chunkSize), 0, onlyFirst)).toBe(0);
  });

  test('zeros take one sector', () => {
    const compressor = new ChunkCompressor(name, new Geometry(65536, 'default', name));
    expect(compressor.compress(new Region(65536), 0, 0)).toBe(1);
  });

  test('has nothing left when it is wiped, and works again', () => {
    const geometry = new Geometry(16384, 'default', name);
    const compressor = new ChunkCompressor(name, geometry);
    const plain = chunkOf([0, 0, 0, 0]);
    const sectors = compressor.compress(plain, 0, 0);
    compressor.wipe();
    expect(compressor.content.bytes.every((byte) => byte === 0)).toBe(true);
    expect(compressor.compress(plain, 0, 0)).toBe(sectors);
  });

  test('leaves out 1, 3, 7 and so on to 63 chunks after those that do not shrink, and none after one that does', () => {
    const compressor = new ChunkCompressor(name, new Geometry(16384, 'default', name), { isAdaptive: true });
    const [noise, zeros] = [new Region(randomBytes(16384)), new Region(16384)];
    for (const leftOut of [1, 3, 7, 15, 31, 63, 63]) {
      // This one is tried, and those after it are not, though they would shrink.
      expect(compressor.compress(noise, 0, 0)).toBe(0);
      for (let at = 0; at < leftOut; at++) expect(compressor.compress(zeros, 0, 0)).toBe(0);
    }
    for (let at = 0; at < 3; at++) expect(compressor.compress(zeros, 0, 0)).toBe(1);
    // What has one sector cannot shrink, and says nothing of others.
    expect([0b1110, 0b1111, 0].map((holes) => compressor.compress(zeros, 0, holes))).toEqual([0, 0, 1]);
    expect(compressor.compress(noise, 0, 0)).toBe(0);
    expect([zeros, zeros].map((plain) => compressor.compress(plain, 0, 0))).toEqual([0, 1]);
  });
});

test.each([MIN_ZSTD_LEVEL, 3, 4, 9, 12, MAX_ZSTD_LEVEL])('Zstandard has room for level %i', (level) => {
  const compressor = new ChunkCompressor('zstd', new Geometry(65536, 'default', 'zstd'), { level });
  expect(compressor.compress(chunkOf(new Array<number>(16).fill(0)), 0, 0)).toBeGreaterThan(0);
});
