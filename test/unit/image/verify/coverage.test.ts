import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Counters } from '../../../../src/base/counters.ts';
import { Region } from '../../../../src/base/linux/native.ts';
import { Geometry } from '../../../../src/format/geometry.ts';
import type { Extent, Inode } from '../../../../src/format/manifest.ts';
import { openImage } from '../../../../src/image/read/image.ts';
import { ObjectReader } from '../../../../src/image/read/object-reader.ts';
import { Coverage, countBits } from '../../../../src/image/verify/coverage.ts';
import { openWritable } from '../../../../src/image/writable/open-writable.ts';
import { NO_TIMES } from '../../../support/times.ts';
import { newImage, patternBytes } from '../writable/session.ts';

const chunkSize = 4096;
const metadata = { mode: 0o600, uid: 0, gid: 0, ...NO_TIMES, xattrs: [] };

test('a chunk is covered if an extent touches it', () => {
  const extent = fc.record({
    fileOffset: fc.constant(0),
    object: fc.nat(1),
    objectOffset: fc.nat(290 * chunkSize),
    length: fc.integer({ min: 1, max: 9 * chunkSize }),
  });
  fc.assert(
    fc.property(fc.array(fc.array(extent, { maxLength: 3 }), { maxLength: 8 }), (files: Extent[][]) => {
      const inodes = files.map((extents): Inode => ({ type: 'file', ...metadata, size: 0, extents }));
      const object = { id: Buffer.alloc(16), chunks: 300, digests: Buffer.alloc(0) };
      const geometry = new Geometry(chunkSize);
      const coverage = new Coverage({ objects: [object, object], inodes }, geometry);
      let count = 0;
      for (const index of [0, 1]) {
        for (let chunk = 0; chunk < 300; chunk++) {
          const isCovered = files
            .flat()
            .some(
              (one) =>
                one.object === index &&
                one.objectOffset < (chunk + 1) * chunkSize &&
                one.objectOffset + one.length > chunk * chunkSize,
            );
          if (isCovered) count++;
          const bits = coverage.ofGroup(index, geometry.groupOf(chunk));
          expect(coverage.has(index, chunk)).toBe(isCovered);
          expect(((bits[Math.floor((chunk % geometry.chunksPerGroup) / 8)] as number) >> (chunk % 8)) & 1).toBe(
            isCovered ? 1 : 0,
          );
        }
      }
      expect(coverage.count()).toBe(count);
      expect([0, 1, 2].reduce((sum, group) => sum + countBits(coverage.ofGroup(0, group)), 0)).toBe(
        Array.from({ length: 300 }, (_, chunk) => coverage.has(0, chunk)).filter(Boolean).length,
      );
    }),
    { numRuns: 30 },
  );
});

describe('a chunk that no file has bytes in', () => {
  test('is not read, but one that a file has bytes in is', async () => {
    const { store, header, imageKey } = await newImage('aes-256-xts', chunkSize);
    store.canPunch = false;
    const image = openWritable(store, header, imageKey);
    const file = image.create(1, Buffer.from('f'), { mode: 0o600, uid: 0, gid: 0 });
    image.write(file, 0, 10 * chunkSize, new Region(patternBytes(1, 10 * chunkSize)), 0);
    image.commit();
    image.write(file, 3 * chunkSize, chunkSize, new Region(patternBytes(2, chunkSize)), 0);
    image.seal();
    image.close();
    const sealed = openImage(store, header, imageKey);
    const geometry = new Geometry(chunkSize);
    const coverage = new Coverage(sealed.manifest, geometry);
    expect([coverage.count(), coverage.has(0, 3), coverage.has(0, 10)]).toEqual([10, false, true]);
    const object = [...store.disk.names].find(([name]) => name.startsWith('objects/'))?.[1];
    for (const chunk of [3, 7]) object?.write(geometry.chunkOffset(chunk), Buffer.from('changed'));
    const reader = new ObjectReader(sealed, new Counters());
    const room = new Region(geometry.groupSize);
    expect(reader.faults(0, 0, room, coverage.ofGroup(0, 0)).map(({ chunk }) => chunk)).toEqual([7]);
    object?.write(geometry.tagPageOffset(0), Buffer.from('changed'));
    const again = new ObjectReader(sealed, new Counters()).faults(0, 0, room, coverage.ofGroup(0, 0));
    expect(again.map(({ chunk }) => chunk)).toEqual([0, 1, 2, 4, 5, 6, 7, 8, 9, 10]);
  });
});
