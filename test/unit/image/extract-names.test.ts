import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Inode, Manifest } from '../../../src/format/manifest.ts';
import { makeNames } from '../../../src/image/extract-names.ts';
import { ExtractedTree } from '../../../src/image/extract-place.ts';
import { Losses } from '../../../src/image/losses.ts';
import { ImageTree } from '../../../src/image/tree.ts';

const time = { seconds: 0, nanoseconds: 0 };
const metadata = { mode: 0o700, uid: 0, gid: 0, atime: time, mtime: time, ctime: time, xattrs: [] };
const directory: Inode = { type: 'directory', ...metadata };
const file: Inode = { type: 'file', ...metadata, size: 0, extents: [] };

test('all names in a directory that cannot be made count as lost', () => {
  const entries = [
    { parent: 1, inode: 6, name: Buffer.from('kept') },
    { parent: 1, inode: 2, name: Buffer.from('n'.repeat(300)) },
    { parent: 2, inode: 3, name: Buffer.from('below') },
    { parent: 2, inode: 4, name: Buffer.from('one') },
    { parent: 3, inode: 5, name: Buffer.from('two') },
  ];
  const manifest: Manifest = {
    epoch: 1,
    objects: [],
    inodes: [directory, directory, directory, file, file, file],
    entries,
  };
  const base = fs.mkdtempSync(join(tmpdir(), 'ckptfs-names-'));
  const root = fs.openSync(base, fs.constants.O_DIRECTORY);
  const tree = new ImageTree(manifest);
  const place = new ExtractedTree(tree, { root, target: base });
  const losses = new Losses();
  try {
    const { made } = makeNames(tree, manifest.inodes.length, place, losses);
    expect([...made]).toEqual([0, 1, 0, 0, 0, 0, 1]);
    expect(fs.readdirSync(base)).toEqual(['kept']);
    expect(losses.list()).toMatchObject([
      { kind: 'entry', count: 4, examples: [{ reason: 'ENAMETOOLONG' }, {}, {}, {}] },
    ]);
  } finally {
    place.close();
    fs.closeSync(root);
    fs.rmSync(base, { recursive: true });
  }
});
