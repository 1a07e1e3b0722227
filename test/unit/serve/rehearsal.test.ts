import { describe, expect, test } from 'vitest';
import type { FileInode, Inode, Manifest } from '../../../src/format/manifest.ts';
import { Errno, type FileSystem } from '../../../src/fuse/filesystem.ts';
import type { Image } from '../../../src/image/image.ts';
import { Rehearsal } from '../../../src/serve/rehearsal.ts';

const metadata = { mode: 0o644, uid: 0, gid: 0, mtimeSeconds: 0, mtimeNanoseconds: 0, xattrs: [] };
const file = (size: number): FileInode => ({ type: 'file', size, extents: [], ...metadata });
const root: Inode = { type: 'directory', ...metadata };

interface Read {
  readonly node: number;
  readonly offset: number;
  readonly length: number;
}

function rehearse(
  inodes: readonly Inode[],
  fails = false,
): { readonly reads: readonly Read[]; readonly steps: number } {
  const reads: Read[] = [];
  const fileSystem = {
    immutable: true,
    read(node: number, offset: number, length: number): number {
      if (fails) throw Errno.of('EIO');
      reads.push({ node, offset, length });
      return length;
    },
  } as unknown as FileSystem;
  const manifest: Manifest = { epoch: 1, objects: [], inodes, entries: [] };
  const rehearsal = new Rehearsal({ manifest } as Image, fileSystem);
  let steps = 0;
  while (rehearsal.step()) steps++;
  expect(rehearsal.step()).toBe(false);
  return { reads, steps };
}

describe('a rehearsal', () => {
  test('reads the largest file, in runs and in parts, and comes to an end', () => {
    const { reads, steps } = rehearse([root, file(10), file(1 << 30), file(1 << 20)]);
    expect(steps).toBeGreaterThan(100);
    expect(new Set(reads.map(({ node }) => node))).toEqual(new Set([3]));
    expect(new Set(reads.map(({ length }) => length))).toEqual(new Set([4096, 256 << 10]));
  });

  test('stays within a small file', () => {
    const { reads } = rehearse([root, file(5000)]);
    expect(Math.max(...reads.map(({ offset }) => offset))).toBe(4096);
  });

  test('has nothing to do where there is nothing to read', () => {
    expect(rehearse([root]).steps).toBe(0);
    expect(rehearse([root, file(0)]).steps).toBe(0);
  });

  test('ends where the image is damaged', () => {
    expect(rehearse([root, file(1 << 20)], true).steps).toBe(0);
  });
});
