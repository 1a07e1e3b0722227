import { hash, randomBytes } from 'node:crypto';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { CkptfsError } from '../../../../src/base/errors.ts';
import { BlockCache } from '../../../../src/remote/lazy/block-cache.ts';
import { CacheDirectory } from '../../../../src/remote/lazy/cache-directory.ts';

let base: string;
let directory: CacheDirectory;
let cache: BlockCache;
let wrote: number;
let faults: CkptfsError[];

const packed = randomBytes(4104);
const digest = hash('sha256', packed, 'hex').slice(0, 32);
const block = { digest, packedSize: packed.length };
const folder = (): string => join(base, 'cache', 'blocks', digest.slice(0, 2));
const file = (): string => join(folder(), digest);

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'ckptfs-cache-'));
  directory = CacheDirectory.open(join(base, 'cache'));
  [wrote, faults] = [0, []];
  cache = new BlockCache(directory.blocks, {
    wrote: (bytes) => {
      wrote += bytes;
    },
    failed: (error) => faults.push(error),
  });
});
afterEach(() => {
  directory.close();
  rmSync(base, { recursive: true });
});

test('a block is there when it was written, for its owner alone', () => {
  expect(cache.has(block)).toBe(false);
  expect(cache.read(block)).toBeUndefined();
  expect(cache.write(digest, packed)).toBe(true);
  expect(cache.has(block)).toBe(true);
  expect(cache.read(block)).toEqual(packed);
  expect(readFileSync(file())).toEqual(packed);
  expect(readdirSync(folder())).toEqual([digest]);
  expect([statSync(file()).mode & 0o777, statSync(join(base, 'cache')).mode & 0o777]).toEqual([0o600, 0o700]);
  expect([wrote, faults]).toEqual([packed.length, []]);
});

test.each<[string, () => void]>([
  ['other bytes', () => writeFileSync(file(), randomBytes(packed.length))],
  ['too few bytes', () => truncateSync(file(), 4103)],
  ['too many bytes', () => truncateSync(file(), 4105)],
  ['nothing', () => truncateSync(file(), 0)],
  [
    'a link',
    () => {
      rmSync(file());
      writeFileSync(join(base, 'elsewhere'), packed);
      symlinkSync(join(base, 'elsewhere'), file());
    },
  ],
])('%s in the place of a block are not believed, and replaced', (_what, spoil) => {
  cache.write(digest, packed);
  spoil();
  expect(cache.read(block)).toBeUndefined();
  cache.write(digest, packed);
  expect(cache.read(block)).toEqual(packed);
});

test('a directory in the place of a block costs no more than that block', () => {
  cache.write(digest, packed);
  rmSync(file());
  mkdirSync(file());
  expect(cache.has(block)).toBe(false);
  expect(cache.read(block)).toBeUndefined();
  expect(cache.write(digest, packed)).toBe(false);
  expect(cache.read(block)).toEqual(packed);
  expect(readdirSync(folder())).toEqual([digest]);
});

test('a block that cannot be written is there for a while, and that is told once', () => {
  const others = Array.from({ length: 70 }, () => randomBytes(64));
  writeFileSync(join(base, 'cache', 'blocks', 'x'), '');
  for (const other of others) {
    const name = hash('sha256', other, 'hex').slice(0, 32);
    rmSync(join(base, 'cache', 'blocks', name.slice(0, 2)), { recursive: true, force: true });
    writeFileSync(join(base, 'cache', 'blocks', name.slice(0, 2)), 'no folder');
    expect(cache.write(name, other)).toBe(false);
  }
  expect(faults.map(({ code }) => code)).toEqual(['io']);
  const there = others.filter((other) =>
    cache.read({ digest: hash('sha256', other, 'hex').slice(0, 32), packedSize: 64 })?.equals(other),
  );
  expect(there).toEqual(others.slice(-64));
});

test('a block is used when it is touched', () => {
  cache.write(digest, packed);
  utimesSync(file(), 1, 1);
  cache.touch(digest);
  expect(Date.now() - statSync(file()).mtimeMs).toBeLessThan(600_000);
  cache.touch('00'.repeat(16));
});

test('a directory that others can change is no cache', () => {
  chmodSync(join(base, 'cache'), 0o777);
  expect(() => CacheDirectory.open(join(base, 'cache'))).toThrow(
    expect.objectContaining({ code: 'exists', data: { reason: 'writable-by-others' } }),
  );
  chmodSync(join(base, 'cache'), 0o700);
  chmodSync(join(base, 'cache', 'sockets'), 0o722);
  expect(() => CacheDirectory.open(join(base, 'cache'))).toThrow('sockets can be changed by other users');
});
