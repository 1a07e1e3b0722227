import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Extent, Inode, Manifest } from '../../../../src/format/manifest.ts';
import { FilesOfObjects } from '../../../../src/image/verify/verify.ts';
import { NO_TIMES } from '../../../support/times.ts';

const SECTOR = 4096;
const metadata = { mode: 0o600, uid: 0, gid: 0, ...NO_TIMES, xattrs: [] };

function filesOf(files: readonly (readonly Extent[])[], objects: number): FilesOfObjects {
  const inodes: Inode[] = [
    { type: 'directory', ...metadata },
    ...files.map((extents): Inode => ({ type: 'file', ...metadata, size: 0, extents })),
  ];
  const entries = files.map((_, at) => ({ parent: 1, inode: at + 2, name: Buffer.from(`file-${at}`) }));
  const manifest: Manifest = {
    epoch: 1,
    objects: Array.from({ length: objects }, () => ({ id: Buffer.alloc(16), chunks: 1, digests: Buffer.alloc(0) })),
    inodes,
    entries,
  };
  return new FilesOfObjects({ manifest });
}

test('finds exactly the files with bytes in a sector, also if extents overlap', () => {
  const extent = fc.record({
    fileOffset: fc.constant(0),
    object: fc.nat(1),
    objectOffset: fc.nat(20 * SECTOR),
    length: fc.integer({ min: 1, max: 6 * SECTOR }),
  });
  fc.assert(
    fc.property(fc.array(fc.array(extent, { maxLength: 4 }), { maxLength: 12 }), fc.nat(1), (files, object) => {
      const found = filesOf(files, 2);
      for (let sector = 0; sector < 27; sector++) {
        const [start, end] = [sector * SECTOR, (sector + 1) * SECTOR];
        const holds = (one: Extent): boolean =>
          one.object === object && one.objectOffset < end && one.objectOffset + one.length > start;
        const expected = files.flatMap((extents, at) => (extents.some(holds) ? [`file-${at}`] : []));
        expect(found.of(object, sector).map(String).sort()).toEqual(expected.sort());
        expect(found.in(object, sector, 1).map(String).sort()).toEqual(expected);
        const next = found.of(object, sector + 2).map(String);
        const both = [...new Set([...expected, ...next])].sort();
        expect(found.in(object, sector, 0b101).map(String).sort()).toEqual(both);
      }
    }),
  );
});

test('a search does not look at every file', () => {
  const count = 100_000;
  const files = Array.from({ length: count }, (_, at) => [
    { fileOffset: 0, object: 0, objectOffset: at * SECTOR, length: SECTOR },
  ]);
  const found = filesOf(files, 1);
  const before = process.cpuUsage();
  let hits = 0;
  for (let chunk = 0; chunk < count; chunk++) hits += found.of(0, chunk).length;
  expect(hits).toBe(count);
  const { user } = process.cpuUsage(before);
  expect(user / 1e6).toBeLessThan(5);
});
