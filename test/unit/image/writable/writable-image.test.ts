import { describe, expect, test } from 'vitest';
import { Region } from '../../../../src/base/linux/native.ts';
import { openImage } from '../../../../src/image/read/image.ts';
import { ChunkPool } from '../../../../src/image/writable/content/chunk-pool.ts';
import { openWritable } from '../../../../src/image/writable/open-writable.ts';
import type { WritableImage } from '../../../../src/image/writable/writable-image.ts';
import { type BegunImage, newImage, patternBytes, readAll } from './session.ts';

const chunkSize = 16384;
const owner = { mode: 0o640, uid: 7, gid: 8 };

async function open(clock: () => number = () => 0): Promise<readonly [WritableImage, BegunImage]> {
  const begun = await newImage('aes-256-xts', chunkSize);
  return [openWritable(begun.store, begun.header, begun.imageKey, { clock }), begun];
}

function refusal(code: string): unknown {
  return expect.objectContaining({ name: 'Errno', code });
}

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');

describe('metadata', () => {
  test('is what was said, through a reopening and a seal', async () => {
    const [image, begun] = await open(() => 1_500.25);
    const file = image.create(1, bytes('f'), owner);
    image.setMetadata(file, {
      mode: 0o4711,
      atime: { seconds: -6, nanoseconds: 3 },
      mtime: { seconds: -5, nanoseconds: 999_999_999 },
    });
    image.setxattr(file, bytes('user.b'), bytes('1'), 'any');
    image.setxattr(file, bytes('user.a'), bytes(''), 'create');
    image.link(file, 1, bytes('g'));
    const link = image.symlink(1, bytes('l'), bytes('\xff/x'), owner);
    const expected = [
      [file, { mode: 0o4711, uid: 7, gid: 8, mtime: { seconds: -5, nanoseconds: 999_999_999 }, links: 2 }],
      [link, { mode: 0o640, mtime: { seconds: 1, nanoseconds: 500_250_000 }, target: bytes('\xff/x') }],
    ] as const;
    const xattrs = [
      { name: bytes('user.a'), value: bytes('') },
      { name: bytes('user.b'), value: bytes('1') },
    ];
    for (const [number, value] of expected) expect(image.inode(number)).toMatchObject(value);
    image.close();
    const again = openWritable(begun.store, begun.header, begun.imageKey);
    for (const [number, value] of expected) expect(again.inode(number)).toMatchObject(value);
    expect(again.inode(file)?.xattrs).toEqual(xattrs);
    again.seal();
    again.close();
    const { inodes } = openImage(begun.store, begun.header, begun.imageKey).manifest;
    expect(inodes.find(({ type }) => type === 'file')).toMatchObject({
      mode: 0o4711,
      atime: { seconds: -6, nanoseconds: 3 },
      mtime: { seconds: -5 },
      ctime: { seconds: 1, nanoseconds: 500_250_000 },
      xattrs,
    });
  });

  test('the mtime follows what is done to contents, and to the names in a directory', async () => {
    let now = 1000;
    const [image] = await open(() => now);
    const mtime = (number: number): number | undefined => image.inode(number)?.mtime.seconds;
    const steps: (() => void)[] = [
      () => image.create(1, bytes('f'), owner),
      () => image.mkdir(1, bytes('d'), owner),
      () => image.link(2, 1, bytes('g')),
      () => image.unlink(1, bytes('g')),
      () => image.rename(1, bytes('f'), 3, bytes('f')),
      () => image.rmdir(1, bytes('d')),
    ];
    for (const [at, step] of steps.slice(0, 5).entries()) {
      now = 2000 + at * 1000;
      step();
      expect(mtime(1)).toBe(2 + at);
    }
    expect(mtime(3)).toBe(6);
    const contents: (() => void)[] = [
      () => image.write(2, 0, 10, new Region(10), 0),
      () => image.punch(2, 0, 5),
      () => image.extend(2, 50),
      () => image.truncate(2, 20),
    ];
    for (const [at, step] of contents.entries()) {
      now = 20_000 + at * 1000;
      step();
      expect(mtime(2)).toBe(20 + at);
    }
    now = 90_000;
    image.extend(2, 20);
    expect([mtime(1), mtime(2), mtime(3)]).toEqual([6, 23, 6]);
  });

  test('the ctime follows every change of an inode, and of its names', async () => {
    let now = 1000;
    const [image] = await open(() => now);
    const [f, g, d] = [image.create(1, bytes('f'), owner), image.create(1, bytes('g'), owner), 4];
    image.mkdir(1, bytes('d'), owner);
    const steps: readonly (readonly [changed: readonly number[], step: () => void])[] = [
      [[f], () => image.setMetadata(f, { mode: 0o600 })],
      [[f], () => image.setMetadata(f, { atime: { seconds: 5, nanoseconds: 0 } })],
      [[f], () => image.setMetadata(f, {})],
      [[f], () => image.setxattr(f, bytes('user.a'), bytes('1'), 'any')],
      [[f], () => image.removexattr(f, bytes('user.a'))],
      [[f, 1], () => image.link(f, 1, bytes('h'))],
      [[f, 1], () => image.unlink(1, bytes('h'))],
      [[f, 1, d], () => image.rename(1, bytes('f'), d, bytes('f'))],
      [[f, g, 1, d], () => image.rename(d, bytes('f'), 1, bytes('g'), 'exchange')],
      [[f, g, 1, d], () => image.rename(d, bytes('f'), 1, bytes('g'))],
      [[], () => image.rename(1, bytes('g'), 1, bytes('g'))],
      [[d, 1], () => image.rename(1, bytes('d'), 1, bytes('e'))],
      [[d, 1], () => image.rmdir(1, bytes('e'))],
      [[g], () => image.write(g, 0, 10, new Region(10), 0)],
      [[g], () => image.punch(g, 0, 5)],
      [[g], () => image.truncate(g, 10)],
      [[g], () => image.touch(g)],
    ];
    for (const [at, [changed, step]] of steps.entries()) {
      now = 10_000 + at * 1000;
      step();
      const found = [1, f, g, d].filter((number) => image.inode(number)?.ctime.seconds === 10 + at);
      expect(found, `step ${at}`).toEqual([...changed].sort());
    }
    expect(image.inode(f)).toMatchObject({ atime: { seconds: 5 }, mtime: { seconds: 1 }, names: 0 });
  });

  test('extended attributes: which are kept, and how many', async () => {
    const [image] = await open();
    const file = image.create(1, bytes('f'), owner);
    const set = (name: string, value: Uint8Array, how: 'any' | 'create' | 'replace' = 'any') => {
      return () => image.setxattr(file, bytes(name), value, how);
    };
    expect(set('security.capability', bytes('x'))).toThrow(refusal('EPERM'));
    expect(set('user.', bytes('x'))).toThrow(refusal('EPERM'));
    expect(set('user.a', bytes('x'), 'replace')).toThrow(refusal('ENODATA'));
    set('user.a', bytes('x'))();
    expect(set('user.a', bytes('x'), 'create')).toThrow(refusal('EEXIST'));
    expect(set('user.a', Buffer.alloc(65537))).toThrow(refusal('E2BIG'));
    for (const name of ['user.b', 'user.c', 'user.d']) set(name, Buffer.alloc(65536))();
    expect(set('user.e', Buffer.alloc(65536))).toThrow(refusal('ENOSPC'));
    expect(() => image.removexattr(file, bytes('user.x'))).toThrow(refusal('ENODATA'));
    image.removexattr(file, bytes('user.b'));
    expect(image.inode(file)?.xattrs.map(({ name }) => name.toString())).toEqual(['user.a', 'user.c', 'user.d']);
  });
});

describe('names', () => {
  test('those that cannot be are refused, and places where none can be', async () => {
    const [image] = await open();
    const file = image.create(1, bytes('f'), owner);
    for (const name of ['', '.', '..', 'a/b', 'a\0']) {
      expect(() => image.create(1, bytes(name), owner)).toThrow(refusal('EINVAL'));
    }
    expect(() => image.mkdir(1, bytes('x'.repeat(256)), owner)).toThrow(refusal('ENAMETOOLONG'));
    image.mkdir(1, bytes('x'.repeat(255)), owner);
    expect(() => image.create(99, bytes('x'), owner)).toThrow(refusal('ENOENT'));
    expect(() => image.create(file, bytes('x'), owner)).toThrow(refusal('ENOTDIR'));
    expect(() => image.lookup(file, bytes('x'))).toThrow(refusal('ENOTDIR'));
    expect(() => image.symlink(1, bytes('s'), bytes(''), owner)).toThrow(refusal('EINVAL'));
    expect(() => image.link(1, 1, bytes('root'))).toThrow(refusal('EPERM'));
    expect(image.inodeCount).toBe(3);
  });

  test('a directory that was removed while it is in use takes no more of them', async () => {
    const [image] = await open();
    const directory = image.mkdir(1, bytes('d'), owner);
    const file = image.create(1, bytes('f'), owner);
    image.rmdir(1, bytes('d'));
    expect(() => image.create(directory, bytes('x'), owner)).toThrow(refusal('ENOENT'));
    expect(() => image.link(file, directory, bytes('x'))).toThrow(refusal('ENOENT'));
    expect(() => image.rename(1, bytes('f'), directory, bytes('x'))).toThrow(refusal('ENOENT'));
    expect(image.nameBefore(directory, Number.POSITIVE_INFINITY)).toBeUndefined();
    image.release(directory);
    expect(image.inode(directory)).toBeUndefined();
    image.release(1);
    image.release(file);
    expect(image.inodeCount).toBe(2);
  });

  test('a listing meets what was there, each once, whatever comes and goes meanwhile', async () => {
    const [image] = await open();
    const all = Array.from({ length: 200 }, (_, at) => `f${at}`);
    for (const name of all) image.create(1, bytes(name), owner);
    const met: string[] = [];
    let child = image.nameBefore(1, Number.POSITIVE_INFINITY);
    for (let step = 0; child !== undefined; step++) {
      met.push(child.name.toString());
      if (step % 2 === 0) image.unlink(1, child.name);
      else image.rename(1, child.name, 1, bytes(`new${step}`));
      if (step % 3 === 0) image.create(1, bytes(`more${step}`), owner);
      child = image.nameBefore(1, child.serial);
    }
    expect(met).toEqual(all.reverse());
  });

  test('a path is found for what has a name', async () => {
    const [image] = await open();
    const outer = image.mkdir(1, bytes('a'), owner);
    const inner = image.mkdir(outer, bytes('\xff'), owner);
    const file = image.create(inner, bytes('c'), owner);
    expect(image.pathOf(file)).toEqual(bytes('a/\xff/c'));
    expect(image.pathOf(1)).toEqual(bytes(''));
    image.unlink(inner, bytes('c'));
    expect(image.pathOf(file)).toEqual(bytes(''));
  });
});

describe('contents', () => {
  test('what is no file, and sizes that cannot be, are refused', async () => {
    const [image] = await open();
    const directory = image.mkdir(1, bytes('d'), owner);
    const link = image.symlink(1, bytes('l'), bytes('x'), owner);
    const file = image.create(1, bytes('f'), owner);
    const region = new Region(10);
    for (const [number, code] of [
      [directory, 'EISDIR'],
      [link, 'EINVAL'],
      [99, 'ENOENT'],
    ] as const) {
      expect(() => image.read(number, 0, 10, region, 0)).toThrow(refusal(code));
      expect(() => image.write(number, 0, 10, region, 0)).toThrow(refusal(code));
      expect(() => image.truncate(number, 0)).toThrow(refusal(code));
      expect(() => image.punch(number, 0, 1)).toThrow(refusal(code));
      expect(() => image.extend(number, 1)).toThrow(refusal(code));
      expect(() => image.seek(number, 0, 'data')).toThrow(refusal(code));
    }
    expect(() => image.write(file, Number.MAX_SAFE_INTEGER - 5, 10, region, 0)).toThrow(refusal('EFBIG'));
    expect(() => image.truncate(file, 2 ** 53)).toThrow(refusal('EFBIG'));
    const tooLong = (16 << 20) + 1;
    expect(() => image.write(file, 0, tooLong, new Region(tooLong), 0)).toThrow(
      expect.objectContaining({ code: 'bad-argument' }),
    );
    expect(image.inode(file)).toMatchObject({ size: 0, dataBytes: 0 });
  });

  test('at the far end of what a file can be', async () => {
    const [image, begun] = await open();
    const file = image.create(1, bytes('f'), owner);
    const offset = Number.MAX_SAFE_INTEGER - 10_000;
    image.write(file, offset, 10_000, new Region(patternBytes(1, 10_000)), 0);
    image.truncate(file, Number.MAX_SAFE_INTEGER - 2000);
    image.punch(file, 0, offset + 100);
    image.seal();
    image.close();
    const again = openWritable(begun.store, begun.header, begun.imageKey);
    const out = new Region(20_000);
    const number = again.lookup(1, bytes('f')) as number;
    expect(again.read(number, offset - 1000, 20_000, out, 0)).toBe(9000);
    expect(out.bytes.subarray(0, 1100)).toEqual(Buffer.alloc(1100));
    expect(out.bytes.subarray(1100, 9000)).toEqual(patternBytes(1, 8000).subarray(100));
    expect(again.seek(number, 0, 'data')).toBe(Math.floor((offset + 100) / 4096) * 4096);
    expect(again.seek(number, 0, 'hole')).toBe(0);
  });

  test('a damaged chunk is told, gives nothing, and can be written over, cut off or removed', async () => {
    const [image, begun] = await open();
    const file = image.create(1, bytes('f'), owner);
    image.write(file, 0, 4 * chunkSize, new Region(patternBytes(1, 4 * chunkSize)), 0);
    image.commit();
    const object = [...begun.store.disk.names].find(([name]) => name.startsWith('objects/'))?.[1];
    object?.write(8192 + chunkSize, Buffer.from('changed'));
    const damaged = expect.objectContaining({ code: 'damaged', message: expect.stringContaining('chunk 1') });
    const out = new Region(patternBytes(9, 4 * chunkSize));
    expect(() => image.read(file, 0, 4 * chunkSize, out, 0)).toThrow(damaged);
    expect(out.bytes.every((byte) => byte === 0)).toBe(true);
    const changes = [
      () => image.write(file, chunkSize + 5, 10, out, 0),
      () => image.write(file, 5, chunkSize, out, 0),
      () => image.truncate(file, chunkSize + 5),
      () => image.punch(file, chunkSize + 5, 2 * chunkSize),
    ];
    for (const change of changes) expect(change).toThrow(damaged);
    const rest = new Region(chunkSize);
    image.read(file, 0, chunkSize, rest, 0);
    expect(rest.bytes).toEqual(patternBytes(1, 4 * chunkSize).subarray(0, chunkSize));
    image.write(file, chunkSize, chunkSize, new Region(patternBytes(2, chunkSize)), 0);
    const expected = patternBytes(1, 4 * chunkSize);
    patternBytes(2, chunkSize).copy(expected, chunkSize);
    expect(readAll(image, file)).toEqual(expected);
  });

  test('a damaged chunk at the end is in nobody’s way when it is cut off or punched out', async () => {
    for (const cut of [
      (image: WritableImage, file: number) => image.truncate(file, chunkSize),
      (image: WritableImage, file: number) => image.punch(file, chunkSize, 100),
    ]) {
      const [image, begun] = await open();
      const file = image.create(1, bytes('f'), owner);
      image.write(file, 0, chunkSize + 100, new Region(patternBytes(1, chunkSize + 100)), 0);
      image.commit();
      const object = [...begun.store.disk.names].find(([name]) => name.startsWith('objects/'))?.[1];
      object?.write(8192 + chunkSize, Buffer.from('changed'));
      expect(() => readAll(image, file)).toThrow(expect.objectContaining({ code: 'damaged' }));
      cut(image, file);
      expect(readAll(image, file).subarray(0, chunkSize)).toEqual(patternBytes(1, chunkSize));
    }
  });
});

test('each chunk that is written has a nonce of its own, also with the same content at the same place', async () => {
  const begun = await newImage('aes-256-xts', 4096);
  const image = openWritable(begun.store, begun.header, begun.imageKey);
  const file = image.create(1, bytes('f'), owner);
  const data = new Region(64 * 4096);
  for (let round = 0; round < 40; round++) image.write(file, 0, data.length, data, 0);
  image.seal();
  image.close();
  // As they were written: tag pages of which every chunk is dead are given back.
  const isTagPage = (position: number): boolean => (position - 4096) % (129 * 4096) === 0;
  const pages = begun.store.log.flatMap((operation) =>
    operation.kind === 'write' && operation.bytes.length === 4096 && isTagPage(operation.position) ? [operation] : [],
  );
  const nonces = new Set<string>();
  let chunks = 0;
  for (const { bytes: page } of pages) {
    for (let at = 0; at < 4096; at += 32) nonces.add(Buffer.from(page.subarray(at, at + 12)).toString('hex'));
    chunks += 128;
  }
  expect(chunks).toBe(40 * 64);
  expect(nonces.size).toBe(chunks);
});

test('nothing is in clear in the store', async () => {
  const begun = await newImage('aes-256-xts', 4096);
  const image = openWritable(begun.store, begun.header, begun.imageKey);
  const secrets = ['a secret name', 'user.secret', 'a secret value', 'a secret content', 'a secret target'].map(bytes);
  const [name, xattr, value, content, target] = secrets as [Buffer, Buffer, Buffer, Buffer, Buffer];
  const file = image.create(1, name, owner);
  image.setxattr(file, xattr, value, 'any');
  image.write(file, 5000, content.length, new Region(content), 0);
  image.symlink(1, bytes('l'), target, owner);
  image.write(file, 0, 4096, new Region(Buffer.alloc(4096, content)), 0);
  image.sync();
  image.write(file, 6000, content.length, new Region(content), 0);
  image.seal();
  image.close();
  const stored = begun.store.log.map((operation) => (operation.kind === 'write' ? operation.bytes : Buffer.alloc(0)));
  expect(stored.length).toBeGreaterThan(10);
  for (const secret of secrets) expect(stored.some((written) => written.includes(secret))).toBe(false);
});

describe('the memory for dirty chunks', () => {
  test('is wiped when it is given back, and when it is closed', () => {
    const pool = new ChunkPool(1, 4096);
    const offsets = [pool.take(), pool.take(), pool.take(), pool.take()].map(Number);
    expect(pool.take()).toBeUndefined();
    expect(offsets.sort((a, b) => a - b)).toEqual([0, 4096, 8192, 12288]);
    pool.region.bytes.fill(1);
    pool.giveBack(4096);
    expect(pool.region.bytes.indexOf(0)).toBe(4096);
    expect(pool.region.bytes.indexOf(1, 4096)).toBe(8192);
    expect(pool.take()).toBe(4096);
    pool.close();
    expect(pool.region.bytes.every((byte) => byte === 0)).toBe(true);
  });
});
