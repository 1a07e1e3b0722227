import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { CacheDirectory } from '../../../../src/remote/lazy/cache-directory.ts';
import { EVICTION_LOCK } from '../../../../src/remote/lazy/cache-layout.ts';
import { Eviction } from '../../../../src/remote/lazy/eviction.ts';

let base: string;
let cache: CacheDirectory;

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'ckptfs-eviction-'));
  cache = CacheDirectory.open(base);
});
afterEach(() => {
  cache.close();
  rmSync(base, { recursive: true });
});

const now = Date.now() / 1000;

/** Makes a block of 1000 bytes that was used so many seconds ago. Returns its name. */
function put(age: number, name = randomBytes(16).toString('hex')): string {
  const folder = join(base, 'blocks', name.startsWith('.') ? 'aa' : name.slice(0, 2));
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, name), Buffer.alloc(1000));
  utimesSync(join(folder, name), now - age, now - age);
  return name;
}

function left(): Set<string> {
  const names = readdirSync(join(base, 'blocks'), { recursive: true, encoding: 'utf8' });
  return new Set(names.filter((name) => name.includes('/')).map((name) => name.slice(3)));
}

async function evict(size: number): Promise<void> {
  const eviction = new Eviction(cache, size);
  eviction.wrote(1);
  await eviction.run();
}

test('what was not used for the longest time goes, until nine tenths are left', async () => {
  const names = Array.from({ length: 20 }, (_, age) => put(age));
  await evict(22_000);
  expect(left()).toEqual(new Set(names));
  await evict(10_000);
  expect(left()).toEqual(new Set(names.slice(0, 9)));
});

test('a part goes where there is no room for what the size allows, once each time', async () => {
  const names = Array.from({ length: 20 }, (_, age) => put(age));
  const eviction = new Eviction(cache, 1_000_000);
  eviction.noRoom();
  await eviction.run();
  expect(left()).toEqual(new Set(names.slice(0, 18)));
  eviction.wrote(1);
  await eviction.run();
  expect(left().size).toBe(18);
  eviction.noRoom();
  await eviction.run();
  expect(left().size).toBe(16);
});

test('old drafts go, and those of processes that live stay', async () => {
  put(3600, '.0123456789abcdef');
  const draft = put(1, '.fedcba9876543210');
  const block = put(3600);
  writeFileSync(join(base, 'images', '.old'), '');
  utimesSync(join(base, 'images', '.old'), now - 3600, now - 3600);
  writeFileSync(join(base, 'images', '.new'), '');
  writeFileSync(join(base, 'blocks', 'no folder'), '');
  await evict(1_000_000);
  expect(left()).toEqual(new Set([draft, block]));
  expect(readdirSync(join(base, 'images'))).toEqual(['.new']);
});

test('one process does it at a time', async () => {
  const names = [put(1), put(2)];
  const other = CacheDirectory.open(base);
  expect(other.lock(EVICTION_LOCK)).toBe(true);
  await evict(1);
  expect(left()).toEqual(new Set(names));
  other.close();
  await evict(1);
  expect(left()).toEqual(new Set());
});

test('it is done when a twentieth of the size was written, and not for nothing', async () => {
  put(1);
  const eviction = new Eviction(cache, 900);
  await eviction.run();
  expect(left().size).toBe(1);
  eviction.wrote(40);
  await new Promise(setImmediate);
  expect(left().size).toBe(1);
  eviction.wrote(10);
  await expect.poll(() => left().size).toBe(0);
});

test('what is written while it is done is seen before it ends', async () => {
  put(2, '00'.repeat(16));
  const eviction = new Eviction(cache, 900);
  eviction.wrote(1);
  const done = eviction.run();
  // In a folder that was not there when the folders were listed; nothing more is written later.
  put(1, 'ff'.repeat(16));
  eviction.wrote(1000);
  await done;
  expect(left().size).toBe(0);
});
