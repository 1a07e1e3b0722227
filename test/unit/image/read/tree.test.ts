import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ImageTree } from '../../../../src/image/read/tree.ts';
import { NO_TIMES } from '../../../support/times.ts';
import { manifests } from '../../format/arbitraries.ts';

describe('ImageTree', () => {
  test('agrees with the entries of any tree', () => {
    fc.assert(
      fc.property(manifests, (manifest) => {
        const tree = new ImageTree(manifest);
        const links = new Map<number, number>();
        for (const [at, inode] of manifest.inodes.entries()) {
          const children = manifest.entries.filter((entry) => entry.parent === at + 1);
          expect(tree.childCount(at + 1)).toBe(children.length);
          for (const [position, child] of children.entries()) expect(tree.child(at + 1, position)).toEqual(child);
          expect(tree.child(at + 1, children.length)).toBeUndefined();
          expect(tree.child(at + 1, -1)).toBeUndefined();
          expect(tree.inode(at + 1)).toBe(inode);
        }
        for (const { parent, inode, name } of manifest.entries) {
          expect(tree.lookup(parent, name)).toBe(inode);
          expect(tree.lookup(parent, Buffer.concat([name, Buffer.from('\0')]))).toBeUndefined();
          expect(tree.resolve(tree.pathOf(inode))).toBe(inode);
          links.set(inode, (links.get(inode) ?? 0) + 1);
        }
        for (const [at, inode] of manifest.inodes.entries()) {
          const directories = manifest.entries.filter(
            (entry) => entry.parent === at + 1 && manifest.inodes[entry.inode - 1]?.type === 'directory',
          );
          const expected = inode.type === 'directory' ? 2 + directories.length : links.get(at + 1);
          expect(tree.links(at + 1)).toBe(expected);
          if (inode.type === 'directory' && at > 0) {
            expect(tree.parent(at + 1)).toBe(manifest.entries.find((entry) => entry.inode === at + 1)?.parent);
          }
        }
      }),
    );
  });

  test('paths', () => {
    const metadata = { mode: 0o755, uid: 0, gid: 0, ...NO_TIMES, xattrs: [] };
    const directory = { type: 'directory', ...metadata } as const;
    const tree = new ImageTree({
      inodes: [directory, directory, { type: 'file', ...metadata, size: 0, extents: [] }],
      entries: [
        { parent: 1, inode: 2, name: Buffer.from('a') },
        { parent: 2, inode: 3, name: Buffer.from([0xff, 0x62]) },
      ],
    });
    expect(tree.resolve('')).toBe(1);
    expect(tree.resolve('/')).toBe(1);
    expect(tree.resolve('//a/./../a/')).toBe(2);
    expect(tree.resolve(Buffer.from([0x61, 0x2f, 0xff, 0x62]))).toBe(3);
    expect(tree.pathOf(3)).toEqual(Buffer.from([0x61, 0x2f, 0xff, 0x62]));
    expect(tree.pathOf(1).length).toBe(0);
    expect(() => tree.resolve('a/x')).toThrow(/no file a\/x/);
    expect(() => tree.resolve('../../a/b/c')).toThrow(/no file/);
  });
});
