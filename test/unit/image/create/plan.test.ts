import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Geometry } from '../../../../src/format/geometry.ts';
import type { FileInode, Manifest } from '../../../../src/format/manifest.ts';
import { decodeManifest, encodeManifest } from '../../../../src/format/manifest-codec.ts';
import {
  type Plan,
  planImage,
  type Segment,
  SMALL_FILE,
  segmentsInGroup,
  usedSectors,
} from '../../../../src/image/create/plan.ts';
import type { SourceFile, SourceTree } from '../../../../src/image/create/source.ts';
import { NO_TIMES } from '../../../support/times.ts';

const SECTOR = 4096;
const metadata = { mode: 0o600, uid: 0, gid: 0, ...NO_TIMES, xattrs: [] };
const placed = (name: string) => ({ parent: 0, name: Buffer.from(name) });
const chunkSizes = fc.constantFrom(4096, 8192, 16384, 32768, 65536);

/** Sectors of hole and of data in turn, and bytes of the file's last, perhaps partial, sector. */
const layouts = fc.tuple(
  fc.array(fc.tuple(fc.nat(3), fc.integer({ min: 1, max: 40 })), { maxLength: 5 }),
  fc.nat(SECTOR - 1),
  fc.nat(3),
);

function sourceFile(at: number, [runs, cut, tail]: readonly [[number, number][], number, number]): SourceFile {
  const ranges: [number, number][] = [];
  let end = 0;
  for (const [index, [hole, data]] of runs.entries()) {
    const start = end + (hole + (index > 0 ? 1 : 0)) * SECTOR;
    end = start + data * SECTOR;
    ranges.push([start, end]);
  }
  const last = ranges.at(-1);
  if (tail === 0 && last !== undefined) {
    last[1] -= cut;
    return { type: 'file', ...placed(`f${at}`), metadata, size: last[1], ranges, stamp: '' };
  }
  return { type: 'file', ...placed(`f${at}`), metadata, size: end + tail * SECTOR + cut, ranges, stamp: '' };
}

const trees: fc.Arbitrary<SourceTree> = fc.array(layouts, { maxLength: 12 }).map((files) => ({
  inodes: [
    { type: 'directory', parent: -1, name: Buffer.alloc(0), metadata, stamp: '' },
    ...files.map((layout, at) => sourceFile(at, layout)),
  ],
  entries: files.map((_, at) => ({ parent: 0, inode: at + 1, name: Buffer.from(`f${files.length - at}`) })),
  skipped: [],
  losses: [],
}));

function manifestOf(plan: Plan, geometry: Geometry): Manifest {
  const objects = plan.objects.map(({ id, chunks }) => ({
    id,
    chunks,
    digests: Buffer.alloc(geometry.groupsFor(chunks) * 32),
  }));
  return { epoch: 1, objects, inodes: plan.inodes, entries: plan.entries };
}

function expectTiling(segments: readonly Segment[], end: number): void {
  let at = 0;
  for (const { objectOffset, length } of segments) {
    expect(objectOffset).toBe(at);
    expect(length).toBeGreaterThan(0);
    at += length;
  }
  expect(at).toBe(end);
}

describe('planImage', () => {
  test('always makes a manifest that the format accepts', () => {
    fc.assert(
      fc.property(trees, chunkSizes, (tree, chunkSize) => {
        const manifest = manifestOf(planImage(tree, new Geometry(chunkSize)), new Geometry(chunkSize));
        expect(decodeManifest(encodeManifest(manifest, chunkSize), chunkSize)).toEqual(manifest);
      }),
    );
  });

  test('segments fill their object without gaps, and extents cover exactly the data of each file', () => {
    fc.assert(
      fc.property(trees, chunkSizes, (tree, chunkSize) => {
        const geometry = new Geometry(chunkSize);
        const plan = planImage(tree, geometry);
        let total = 0;
        for (const { segments, chunks } of plan.objects) {
          const length = segments.reduce((sum, segment) => sum + segment.length, 0);
          expectTiling(segments, length);
          expect(chunks).toBe(Math.ceil(length / chunkSize));
          total += length;
        }
        expect(plan.totalBytes).toBe(total);
        for (const [at, source] of tree.inodes.entries()) {
          if (source.type !== 'file') continue;
          const { extents } = plan.inodes[at] as FileInode;
          expect(extents.map(({ fileOffset, length }) => [fileOffset, fileOffset + length])).toEqual(source.ranges);
        }
      }),
    );
  });

  test('small files share one object, each big one has its own', () => {
    fc.assert(
      fc.property(trees, (tree) => {
        const { objects } = planImage(tree, new Geometry(16384));
        const filled = tree.inodes.filter((inode) => inode.type === 'file' && inode.ranges.length > 0) as SourceFile[];
        const big = filled.filter(({ size }) => size >= SMALL_FILE);
        expect(objects.length).toBe(big.length + (filled.length > big.length ? 1 : 0));
        for (const { segments } of objects) {
          const files = new Set(segments.map(({ inode }) => tree.inodes[inode]));
          const isBig = big.some((file) => files.has(file));
          expect(files.size).toBe(isBig ? 1 : filled.length - big.length);
        }
      }),
    );
  });

  test('files from 64 KiB on are big', () => {
    const files = [SMALL_FILE - 1, SMALL_FILE, 1].map(
      (size, at): SourceFile => ({
        type: 'file',
        ...placed(String(at)),
        metadata,
        size,
        ranges: [[0, size]],
        stamp: '',
      }),
    );
    const inodes = [{ type: 'directory', parent: -1, name: Buffer.alloc(0), metadata, stamp: '' } as const, ...files];
    const { objects } = planImage({ inodes, entries: [] }, new Geometry(4096));
    expect(
      objects.map(({ segments }) => segments.map(({ length }) => length)).sort((a, b) => a.length - b.length),
    ).toEqual([[SMALL_FILE], [SMALL_FILE - 1, 1]]);
  });

  test('object ids are new each time', () => {
    const tree: SourceTree = {
      inodes: [{ type: 'file', ...placed('f'), metadata, size: 1, ranges: [[0, 1]], stamp: '' }],
      entries: [],
      skipped: [],
      losses: [],
    };
    const ids = Array.from({ length: 50 }, () => planImage(tree, new Geometry(4096)).objects[0]?.id.toString('hex'));
    expect(new Set(ids).size).toBe(50);
  });
});

describe('segmentsInGroup', () => {
  test('the groups of an object fill it, and keep where each byte comes from', () => {
    const lengths = fc.array(fc.integer({ min: 1, max: 900_000 }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(lengths, fc.constantFrom(4096, 16384), (sizes, chunkSize) => {
        const geometry = new Geometry(chunkSize);
        let end = 0;
        const segments = sizes.map((length, at): Segment => {
          end += length;
          return { inode: at, stamp: '', fileOffset: at * 4096, objectOffset: end - length, length };
        });
        const object = { id: Buffer.alloc(16), chunks: geometry.chunksFor(end), segments };
        const found = new Map<number, number>();
        for (let group = 0; group < geometry.groupsFor(object.chunks); group++) {
          const start = group * geometry.groupSize;
          const parts = segmentsInGroup(object, group, geometry);
          expectTiling(parts, Math.min(geometry.groupSize, end - start));
          for (const part of parts) {
            const whole = segments[part.inode] as Segment;
            expect(part.fileOffset - whole.fileOffset).toBe(start + part.objectOffset - whole.objectOffset);
            found.set(part.inode, (found.get(part.inode) ?? 0) + part.length);
          }
        }
        expect([...found.values()]).toEqual(sizes);
      }),
    );
  });

  test('a group past the end is empty', () => {
    const segments = [{ inode: 1, stamp: '', fileOffset: 0, objectOffset: 0, length: 10 }];
    expect(segmentsInGroup({ id: Buffer.alloc(16), chunks: 1, segments }, 1, new Geometry(4096))).toEqual([]);
  });
});

test('usedSectors', () => {
  expect([-5, 0, 1, 4095, 4096, 4097, 65536].map(usedSectors)).toEqual([0, 0, 1, 1, 1, 2, 16]);
});
