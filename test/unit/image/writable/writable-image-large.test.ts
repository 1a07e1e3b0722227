import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Region } from '../../../../src/base/linux/native.ts';
import { beginImage } from '../../../../src/image/writable/begin-image.ts';
import { recoverImage } from '../../../../src/image/writable/close-unsealed.ts';
import { MAX_GROWN_CHUNKS } from '../../../../src/image/writable/model/growing-records.ts';
import { openWritable } from '../../../../src/image/writable/open-writable.ts';
import { createStore, openWritableStore } from '../../../../src/stores/open-store.ts';
import type { WritableObject, WritableStore } from '../../../../src/stores/writable-store.ts';
import { type BegunImage, newImage, patternBytes } from './session.ts';

const owner = { mode: 0o600, uid: 0, gid: 0 };
const NAME = Buffer.from('pages-1.img');
const slot = { protected: 'e30', encrypted_key: 'AA', iv: 'AA', ciphertext: 'AA', tag: 'AA' };

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Returns what memory is in use. When V8 collects by itself depends on the load of the machine. */
function keptMemory(): NodeJS.MemoryUsage {
  collect();
  return process.memoryUsage();
}

describe('in a directory', () => {
  let base: string;
  beforeEach(() => {
    base = fs.mkdtempSync(join(tmpdir(), 'ckptfs-writable-'));
  });
  afterEach(() => fs.rmSync(base, { recursive: true }));

  function begin(store: WritableStore): ReturnType<typeof beginImage> {
    return beginImage(store, { makeSlots: async () => [slot], root: owner, cipher: 'none', chunkSize: 4096 });
  }

  test('200 MiB in small writes through a tiny pool take no memory', async () => {
    const store = createStore(join(base, 'image'));
    const { header, imageKey } = await begin(store);
    const image = openWritable(store, header, imageKey, { poolSize: 1 << 18, cacheSize: 1 << 20 });
    const file = image.create(1, NAME, owner);
    const piece = new Region(patternBytes(3, 50_000));
    const before = keptMemory();
    for (let offset = 0; offset < 200 << 20; offset += piece.length) image.write(file, offset, piece.length, piece, 0);
    image.sync();
    const { arrayBuffers, heapUsed } = keptMemory();
    expect(arrayBuffers - before.arrayBuffers).toBeLessThan(16 << 20);
    expect(heapUsed - before.heapUsed).toBeLessThan(64 << 20);
    const out = new Region(piece.length);
    image.read(file, 1000 * piece.length, piece.length, out, 0);
    expect(out.bytes.equals(piece.bytes)).toBe(true);
    image.close();
  });

  test('more chunks than an object takes: read where they meet, reopened, sealed and continued', async () => {
    const store = createStore(join(base, 'image'));
    const { header, imageKey } = await begin(store);
    let image = openWritable(store, header, imageKey);
    let file = image.create(1, NAME, owner);
    const piece = new Region(8 << 20);
    const size = (MAX_GROWN_CHUNKS + 5000) * 4096;
    for (let offset = 0; offset < size; offset += piece.length) {
      piece.view.setUint32(0, offset / 4096);
      piece.view.setUint32(4096, offset / 4096);
      image.write(file, offset, Math.min(piece.length, size - offset), piece, 0);
    }
    const out = new Region(16 << 20);
    const check = (): void => {
      const boundary = MAX_GROWN_CHUNKS * 4096;
      expect(image.read(file, boundary - piece.length, 2 * piece.length, out, 0)).toBe(2 * piece.length);
      for (const at of [0, 4096]) {
        expect(out.view.getUint32(at)).toBe(MAX_GROWN_CHUNKS - 2048);
        expect(out.view.getUint32(piece.length + at)).toBe(MAX_GROWN_CHUNKS);
      }
    };
    check();
    expect(store.list().objects.length).toBe(2);
    image.commit();
    check();
    image.close();
    image = openWritable(openWritableStore(store.location), header, imageKey);
    check();
    image.seal();
    image.close();
    image = openWritable(openWritableStore(store.location), header, imageKey);
    file = image.lookup(1, NAME) as number;
    check();
    expect(image.inode(file)).toMatchObject({ size, dataBytes: size });
    image.close();
  });
});

/** Counts the objects that are open, and keeps nothing of what is written to them. */
function forgetful(begun: BegunImage): { most: number } {
  const open = { now: 0, most: 0 };
  const { store } = begun;
  const createObject = store.createObject.bind(store);
  store.createObject = (id): WritableObject => {
    const object = createObject(id);
    open.most = Math.max(open.most, ++open.now);
    return { ...object, write: () => undefined, close: () => open.now-- };
  };
  return open;
}

test('however much is written and never made durable, few objects are open', async () => {
  const begun = await newImage('none', 4096);
  const open = forgetful(begun);
  const image = openWritable(begun.store, begun.header, begun.imageKey);
  const file = image.create(1, NAME, owner);
  const piece = new Region(16 << 20);
  const objects = 13;
  for (let offset = 0; offset < objects * MAX_GROWN_CHUNKS * 4096; offset += piece.length) {
    image.write(file, offset, piece.length, piece, 0);
  }
  expect(begun.store.list().objects.length).toBe(objects);
  expect(open.most).toBeLessThan(11);
  image.close();
});

describe('a tree that takes many frames', () => {
  const count = 6000;
  const nameOf = (at: number): Buffer => Buffer.from(`${at}-`.padEnd(250, 'x'));

  async function manyNames(): Promise<BegunImage> {
    const begun = await newImage('aes-256-xts', 4096);
    const image = openWritable(begun.store, begun.header, begun.imageKey);
    const data = new Region(100);
    for (let at = 0; at < count; at++) image.write(image.create(1, nameOf(at), owner), 0, 100, data, 0);
    image.commit();
    image.close();
    return begun;
  }

  test('is all there when it is opened again', async () => {
    const begun = await manyNames();
    openWritable(begun.store, begun.header, begun.imageKey).close();
    const size = begun.store.disk.names.get('journal')?.size ?? 0;
    expect(size).toBeGreaterThan(3 << 19);
    const image = openWritable(begun.store, begun.header, begun.imageKey);
    expect(image.inodeCount).toBe(count + 1);
    for (let at = 0; at < count; at += 997) expect(image.lookup(1, nameOf(at))).toBe(at + 2);
    image.close();
    // A journal that is cut after any of the frames of its snapshot but the last is damaged.
    const journal = begun.store.disk.names.get('journal');
    for (const cut of [1, 100, size / 2, size - 100]) {
      journal?.truncate(size - Math.floor(cut));
      expect(() => recoverImage(begun.store, begun.header, begun.imageKey)).toThrow(
        expect.objectContaining({ code: 'damaged' }),
      );
    }
  });
});
