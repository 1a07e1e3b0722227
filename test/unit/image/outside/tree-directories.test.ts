import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Directory } from '../../../../src/base/linux/directory.ts';
import { placeIn, shareNames } from '../../../../src/image/create/source-names.ts';
import { pathInTree, TreeDirectories } from '../../../../src/image/outside/tree-directories.ts';

let base: string;
let root: Directory;
beforeEach(() => {
  base = fs.mkdtempSync(join(tmpdir(), 'ckptfs-tree-'));
  root = Directory.open(base);
});
afterEach(() => {
  root.close();
  fs.rmSync(base, { recursive: true });
});

/** A chain of directories, of which number n is in n - 1, and 0 is the root. */
const chain = (inode: number) => (inode === 0 ? undefined : { parent: inode - 1, name: Buffer.from(`d${inode}`) });

function makeChain(depth: number): void {
  fs.mkdirSync(join(base, ...Array.from({ length: depth }, (_, at) => `d${at + 1}`)), { recursive: true });
}

const inodeOf = (directory: Directory): bigint => directory.stat().ino;
const openCount = (): number => fs.readdirSync('/proc/self/fd').length;

test('reaches each directory in any order, with few of them open', () => {
  makeChain(30);
  const before = openCount();
  const directories = new TreeDirectories(root, chain, { maxOpen: 4 });
  for (const inode of [30, 1, 30, 15, 0, 29, 3]) {
    const path = join(base, ...Array.from({ length: inode }, (_, at) => `d${at + 1}`));
    expect(inodeOf(directories.get(inode))).toBe(fs.statSync(path, { bigint: true }).ino);
    expect(openCount() - before).toBeLessThanOrEqual(4);
  }
  directories.close();
  expect(openCount()).toBe(before);
});

test('a directory that is kept stays open while another is opened', () => {
  makeChain(20);
  fs.mkdirSync(join(base, 'other'));
  const place = (inode: number) => (inode === 99 ? { parent: 0, name: Buffer.from('other') } : chain(inode));
  const directories = new TreeDirectories(root, place, { maxOpen: 3 });
  const other = directories.get(99);
  const deep = directories.get(20, 99);
  expect(inodeOf(other)).not.toBe(inodeOf(deep));
  other.mkdir('made');
  expect(fs.readdirSync(join(base, 'other'))).toEqual(['made']);
  directories.close();
});

test('follows no link, and checks that a directory is the right one', () => {
  makeChain(2);
  fs.rmdirSync(join(base, 'd1', 'd2'));
  fs.symlinkSync('/', join(base, 'd1', 'd2'));
  const directories = new TreeDirectories(root, chain);
  expect(() => directories.get(2)).toThrow(expect.objectContaining({ code: 'ENOTDIR' }));
  directories.close();
  const before = openCount();
  const check = () => {
    throw new Error('another one');
  };
  expect(() => new TreeDirectories(root, chain, { check }).get(1)).toThrow('another one');
  expect(openCount()).toBe(before);
});

test('names are the same in another thread', () => {
  const places = [
    { parent: -1, name: Buffer.alloc(0) },
    { parent: 0, name: Buffer.from('a') },
    { parent: 1, name: Buffer.from([0xff, 0x20]) },
    { parent: 1, name: Buffer.from('longer name') },
  ];
  const shared = structuredClone(shareNames(places));
  expect(places.map((_, inode) => placeIn(shared, inode))).toEqual([undefined, ...places.slice(1)]);
  expect(pathInTree('root', 3, (inode) => placeIn(shared, inode))).toBe('root/a/longer name');
  expect(pathInTree('root', 0, (inode) => placeIn(shared, inode))).toBe('root');
});
