import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { tryLock } from '../../../src/base/linux/files.ts';
import { discardDirectory } from '../../../src/stores/discard-directory.ts';

let base: string;
let image: string;
const object = 'ab'.padEnd(32, '0');

function directoryIdentity(path: string): string {
  const { dev, ino } = fs.statSync(path, { bigint: true });
  return `${dev}:${ino}`;
}

beforeEach(() => {
  base = fs.mkdtempSync(join(tmpdir(), 'ckptfs-discard-'));
  image = join(base, 'enc');
  fs.mkdirSync(join(image, 'objects', 'ab'), { recursive: true });
  for (const name of [
    'ckptfs.json',
    'manifest',
    'signatures',
    'journal',
    'lock',
    'manifest.new',
    join('objects', 'ab', object),
  ]) {
    fs.writeFileSync(join(image, name), name);
  }
});

afterEach(() => fs.rmSync(base, { recursive: true }));

test('removes the whole image, and its directory if it was made for the image', () => {
  expect(discardDirectory(image, directoryIdentity(image), true)).toBe(true);
  expect(fs.readdirSync(base)).toEqual([]);
});

test('leaves a directory that was there before', () => {
  expect(discardDirectory(image, directoryIdentity(image), false)).toBe(true);
  expect(fs.readdirSync(image)).toEqual([]);
});

test('leaves files that are not part of an image', () => {
  fs.writeFileSync(join(image, 'notes'), '');
  fs.writeFileSync(join(image, 'objects', 'ab', 'other'), '');
  expect(discardDirectory(image, directoryIdentity(image), true)).toBe(true);
  expect(fs.readdirSync(image, { recursive: true }).sort()).toEqual([
    'notes',
    'objects',
    'objects/ab',
    'objects/ab/other',
  ]);
});

test('removes nothing of another image that has taken its path', () => {
  const identity = directoryIdentity(image);
  fs.renameSync(image, join(base, 'moved'));
  fs.mkdirSync(image);
  fs.writeFileSync(join(image, 'manifest'), 'of another');
  expect(discardDirectory(image, identity, true)).toBe(false);
  expect(fs.readdirSync(image)).toEqual(['manifest']);
  expect(fs.existsSync(join(base, 'moved', 'manifest'))).toBe(true);
});

test.each(['shared', 'exclusive'] as const)('removes nothing while another process has the %s lock', (kind) => {
  const before = fs.readdirSync(image, { recursive: true }).sort();
  const other = fs.openSync(image, fs.constants.O_DIRECTORY);
  try {
    expect(tryLock(other, kind)).toBe(true);
    const discard = (): boolean => discardDirectory(image, directoryIdentity(image), true);
    expect(discard).toThrow(expect.objectContaining({ code: 'locked' }));
    expect(fs.readdirSync(image, { recursive: true }).sort()).toEqual(before);
  } finally {
    fs.closeSync(other);
  }
  expect(discardDirectory(image, directoryIdentity(image), true)).toBe(true);
});

test('follows no link to the objects of another image', () => {
  const other = join(base, 'other');
  fs.renameSync(join(image, 'objects'), other);
  fs.symlinkSync(other, join(image, 'objects'));
  discardDirectory(image, directoryIdentity(image), true);
  expect(fs.readdirSync(join(other, 'ab'))).toEqual([object]);
});
