import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Inode, Manifest } from '../../../../src/format/manifest.ts';
import { makeNames } from '../../../../src/image/extract/extract-names.ts';
import { ExtractedTree } from '../../../../src/image/extract/extract-place.ts';
import { Losses } from '../../../../src/image/outside/losses.ts';
import { ImageTree } from '../../../../src/image/read/tree.ts';

const time = { seconds: 0, nanoseconds: 0 };
const metadata = { mode: 0o700, uid: 0, gid: 0, atime: time, mtime: time, ctime: time, xattrs: [] };
const directory: Inode = { type: 'directory', ...metadata };
const file: Inode = { type: 'file', ...metadata, size: 0, extents: [] };

let base: string;
let root: number;
beforeEach(() => {
  base = fs.mkdtempSync(join(tmpdir(), 'ckptfs-names-'));
  root = fs.openSync(base, fs.constants.O_DIRECTORY);
});
afterEach(() => {
  fs.closeSync(root);
  fs.rmSync(base, { recursive: true });
});

/** What is made of a tree, where it is made, and which names are lost. */
function make(inodes: Inode[], entries: Manifest['entries']) {
  const tree = new ImageTree({ inodes, entries });
  const place = new ExtractedTree(tree, { root, target: base });
  const losses = new Losses();
  try {
    const { made } = makeNames(tree, inodes.length, place, losses);
    return { made: [...made], lost: losses.list(), place };
  } finally {
    place.close();
  }
}

const unmakeable = Buffer.from('n'.repeat(300));

test('every name in a directory that cannot be made counts as lost', () => {
  const { made, lost } = make(
    [directory, directory, directory, file, file, file],
    [
      { parent: 1, inode: 6, name: Buffer.from('kept') },
      { parent: 1, inode: 2, name: unmakeable },
      { parent: 2, inode: 3, name: Buffer.from('below') },
      { parent: 2, inode: 4, name: Buffer.from('one') },
      { parent: 3, inode: 5, name: Buffer.from('two') },
    ],
  );
  expect(made).toEqual([0, 1, 0, 0, 0, 0, 1]);
  expect(fs.readdirSync(base)).toEqual(['kept']);
  expect(lost).toMatchObject([{ kind: 'entry', count: 4, examples: [{ reason: 'ENAMETOOLONG' }, {}, {}, {}] }]);
});

test('a file whose first name cannot be made gets the next name that can, and is linked from there', () => {
  const { made, lost, place } = make(
    [directory, directory, directory, file, { ...file, size: 7 }],
    [
      { parent: 1, inode: 3, name: Buffer.from('d') },
      { parent: 1, inode: 2, name: unmakeable },
      { parent: 1, inode: 5, name: Buffer.concat([unmakeable, unmakeable]) },
      { parent: 1, inode: 5, name: Buffer.from('second') },
      { parent: 1, inode: 5, name: Buffer.from('third') },
      { parent: 2, inode: 4, name: Buffer.from('one') },
      { parent: 3, inode: 4, name: Buffer.from('two') },
    ],
  );
  expect(made).toEqual([0, 1, 0, 1, 1, 1]);
  expect(fs.readdirSync(base, { recursive: true }).sort()).toEqual(['d', 'd/two', 'second', 'third']);
  expect(fs.statSync(join(base, 'third'))).toMatchObject({ size: 7, nlink: 2 });
  expect(lost).toMatchObject([{ kind: 'entry', count: 3 }]);
  expect(place.pathOf(5)).toBe(join(base, 'second'));
  expect(place.pathOf(4)).toBe(join(base, 'd', 'two'));
});
