// Goal: an ephemeral image works like any other, and no byte of it can be read without the memory of its writer.
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Region } from '../../../../src/base/linux/native.ts';
import { deriveObjectDataKey } from '../../../../src/crypto/image-keys.ts';
import { primitives } from '../../../../src/crypto/select.ts';
import { openEphemeral } from '../../../../src/image/writable/open-ephemeral.ts';
import { createEphemeral, type NewEphemeral } from '../../../../src/library/new-ephemeral.ts';
import { openEphemeralStore } from '../../../../src/stores/open-store.ts';
import { patternBytes, readAll } from './session.ts';

const MIB = 1 << 20;
const owner = { mode: 0o600, uid: 0, gid: 0 };
const SECRET = Buffer.from('the plaintext that nothing may find');

let base: string;
let location: string;
let made: NewEphemeral;
beforeEach(() => {
  base = fs.mkdtempSync(join(tmpdir(), 'ckptfs-ephemeral-'));
  location = join(base, 'enc');
  made = createEphemeral({ destination: location });
});
afterEach(() => {
  made.imageKey.wipe();
  fs.rmSync(base, { recursive: true });
});

const stored = (): string[] =>
  fs
    .readdirSync(location, { recursive: true, encoding: 'utf8' })
    .filter((name) => fs.statSync(join(location, name)).isFile());
const usedBytes = (): number => stored().reduce((sum, name) => sum + fs.statSync(join(location, name)).blocks * 512, 0);

test('nothing in the store is a key, plaintext or a journal', () => {
  const store = openEphemeralStore(location);
  const image = openEphemeral(store, made.image, made.imageKey);
  const file = image.create(1, Buffer.from('file'), owner);
  image.write(file, 0, SECRET.length, new Region(SECRET), 0);
  image.write(file, MIB, MIB, new Region(patternBytes(1, MIB)), 0);
  image.sync();
  expect(readAll(image, file).subarray(0, SECRET.length)).toEqual(SECRET);
  expect(readAll(image, file).subarray(MIB)).toEqual(patternBytes(1, MIB));
  const imageId = Buffer.from(made.image.imageId, 'hex');
  const objects = stored().filter((name) => name.startsWith('objects/'));
  expect(stored().sort()).toEqual(['ckptfs.json', 'lock', ...objects].sort());
  const keys = objects.map((name) =>
    deriveObjectDataKey(primitives(), 'aes-256-xts', made.imageKey, imageId, Buffer.from(name.slice(-32), 'hex')),
  );
  const needles = [made.imageKey, ...keys].map((key) => Buffer.from(key.bytes).subarray(0, 16));
  const all = Buffer.concat(stored().map((name) => fs.readFileSync(join(location, name))));
  expect(all.length).toBeGreaterThan(MIB);
  for (const needle of [SECRET, patternBytes(1, 64), ...needles]) expect(all.includes(needle)).toBe(false);
  image.close();
  store.close();
  expect(stored().sort()).toEqual(['ckptfs.json', ...objects].sort());
});

test('what is removed or rewritten takes no space, though nothing is ever made durable', () => {
  const store = openEphemeralStore(location);
  const image = openEphemeral(store, made.image, made.imageKey);
  const hot = image.create(1, Buffer.from('hot'), owner);
  for (let round = 0; round < 100; round++) image.write(hot, 0, MIB, new Region(patternBytes(round, MIB)), 0);
  expect(usedBytes()).toBeLessThan(24 * MIB);
  expect(readAll(image, hot)).toEqual(patternBytes(99, MIB));
  image.unlink(1, Buffer.from('hot'));
  image.release(hot);
  image.sync();
  image.mkdir(1, Buffer.from('d'), owner);
  image.sync();
  expect(usedBytes()).toBeLessThan(MIB);
  image.close();
  store.close();
});

test('one writer has it at a time', () => {
  const store = openEphemeralStore(location);
  const image = openEphemeral(store, made.image, made.imageKey);
  const other = openEphemeralStore(location);
  expect(() => openEphemeral(other, made.image, made.imageKey)).toThrow(expect.objectContaining({ code: 'locked' }));
  other.close();
  image.close();
  store.close();
});
