// Goal: an image is re-encrypted as one whole, and goes on from whatever state an interruption leaves.
// Method: the built library re-encrypts in this process; what kill -9 would leave is copied at each step of the work.
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import type { CkptfsError } from '../../src/base/errors.ts';
import type { Identity, Recipient } from '../../src/keys/provider.ts';
import type { ReencryptOptions } from '../../src/library/reencrypt.ts';
import { frozenRoot, keyFile } from '../support/frozen-images.ts';
import { built } from './support/mounts.ts';

const { Region } = await built<typeof import('../../src/base/linux/native.ts')>('base/linux/native.js');
const { openImage, readHeader } = await built<typeof import('../../src/image/read/image.ts')>('image/read/image.js');
const { ImageReader } =
  await built<typeof import('../../src/image/read/image-reader.ts')>('image/read/image-reader.js');
const { rangesOf } =
  await built<typeof import('../../src/image/reencrypt/plan-copy.ts')>('image/reencrypt/plan-copy.js');
const { unlockHeader } = await built<typeof import('../../src/library/unlock.ts')>('library/unlock.js');
const { openStore } = await built<typeof import('../../src/stores/open-store.ts')>('stores/open-store.js');
const {
  addKeySlots,
  createImage,
  EncryptedImage,
  readKeyFile,
  reencryptImage,
  Secret,
  slotsFor,
  symmetricKeyProvider,
} = await built<typeof import('../../src/index.ts')>('index.js');

const directory = mkdtempSync(join(tmpdir(), 'ckptfs-reencrypt-'));
const image = join(directory, 'enc');
const sibling = `${image}.reencrypt`;
const oldKey = symmetricKeyProvider(readKeyFile(keyFile()).key, 'old key');
const newKey = symmetricKeyProvider(Secret.random(32), 'new key', { kind: 'key', label: 'new' });
const options: ReencryptOptions = { keys: [oldKey], recipients: [newKey], jobs: 2 };

beforeEach(() => {
  for (const name of readdirSync(directory)) rmSync(join(directory, name), { recursive: true });
  cpSync(join(frozenRoot, 'aes-256-xts', 'image'), image, { recursive: true });
});
afterAll(() => rmSync(directory, { recursive: true }));

/** Everything that a reader of an image can tell, but for where it is stored. */
async function treeOf(location: string, key: Identity): Promise<unknown> {
  const store = openStore(location);
  const header = readHeader(store);
  const { imageKey } = await unlockHeader(store, header, { keys: [key] });
  const opened = openImage(store, header, imageKey);
  const reader = new ImageReader(opened);
  try {
    const inodes = opened.manifest.inodes.map((inode) => {
      if (inode.type !== 'file') return inode;
      const { extents, ...rest } = inode;
      const out = new Region(Math.max(1, inode.size));
      reader.read(inode, 0, inode.size, out, 0);
      const digest = createHash('sha256').update(out.bytes.subarray(0, inode.size)).digest('hex');
      return { ...rest, ranges: rangesOf(extents), digest };
    });
    return { inodes, entries: opened.manifest.entries };
  } finally {
    reader.close();
    imageKey.wipe();
    store.close();
  }
}

/** Reads an image with whichever of the two keys opens it. */
const treeOfEither = (location: string): Promise<unknown> =>
  treeOf(location, newKey).catch((error: CkptfsError) => {
    expect(error.code).toBe('wrong-key');
    return treeOf(location, oldKey);
  });

async function isWhole(location: string): Promise<void> {
  const opened = await EncryptedImage.open(location, { keys: [newKey] });
  const { damage, unexpected } = await opened.verify({ jobs: 1 });
  expect({ damage, unexpected }).toEqual({ damage: [], unexpected: [] });
  opened.close();
}

const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'no error',
    (error: CkptfsError) => error.code,
  );

const headerOf = (location: string): string => readFileSync(join(location, 'ckptfs.json'), 'utf8');

/** An image whose large file has many groups, so that there are many moments to interrupt. */
async function makeLarge(): Promise<void> {
  const source = join(directory, 'source');
  mkdirSync(source);
  for (const [name, size] of [
    ['a', 3 << 20],
    ['b', (1 << 20) + 7],
    ['c', 100],
  ] as const) {
    writeFileSync(join(source, name), Buffer.alloc(size, `${name}-${size} `));
  }
  rmSync(image, { recursive: true });
  await createImage({ source, destination: image, makeSlots: slotsFor([oldKey]), jobs: 1 });
}

test.each([
  ['the same cipher and chunk size', {}],
  ['another cipher and larger chunks', { cipher: 'chacha20-poly1305', chunkSize: 65536 }],
  ['another suite, another cipher and smaller chunks', { suite: 'fips', cipher: 'aes-256-gcm', chunkSize: 4096 }],
  ['compression', { compression: { name: 'zstd' } }],
] as const)('in place, with %s: the same tree, the old key opens it no more', async (_, change) => {
  const before = await treeOf(image, oldKey);
  const header = headerOf(image);
  const result = await reencryptImage(image, { ...options, ...change });
  expect(result).toMatchObject({ previousImageId: JSON.parse(header).image, oldImage: undefined });
  expect(await treeOf(image, newKey)).toEqual(before);
  await isWhole(image);
  expect(JSON.parse(headerOf(image))).toMatchObject({
    image: result.imageId,
    ...change,
    ...('compression' in change ? { compression: change.compression.name, chunkSize: 65536 } : {}),
  });
  expect(await codeOf(EncryptedImage.open(image, { keys: [oldKey] }))).toBe('wrong-key');
  expect(readdirSync(directory)).toEqual(['enc']);
  expect(readdirSync(image).sort()).toEqual(['ckptfs.json', 'manifest', 'objects']);
});

test('into another directory: the old image stays as it is', async () => {
  const before = await treeOf(image, oldKey);
  const destination = join(directory, 'new');
  const result = await reencryptImage(image, { ...options, destination });
  expect(result.oldImage).toBe(image);
  expect(await treeOf(destination, newKey)).toEqual(before);
  expect(await treeOf(image, oldKey)).toEqual(before);
  await isWhole(destination);
  expect(await codeOf(reencryptImage(image, { ...options, destination }))).toBe('exists');
  expect(await codeOf(reencryptImage(image, { ...options, destination: join(image, 'in') }))).toBe('bad-argument');
});

test('no bytes of the old image are in the new one', async () => {
  const old = new Set(
    readdirSync(join(image, 'objects'), { recursive: true })
      .map(String)
      .filter((name) => name.length > 2),
  );
  await reencryptImage(image, options);
  for (const name of readdirSync(join(image, 'objects'), { recursive: true })) expect(old).not.toContain(String(name));
});

test('a reader that has the image open goes on, and the old image is removed when it ends', async () => {
  const before = await treeOf(image, oldKey);
  const reader = await EncryptedImage.open(image, { keys: [oldKey] });
  const result = await reencryptImage(image, options);
  expect(result.oldImage).toBe(sibling);
  expect((await reader.verify({ jobs: 1 })).damage).toEqual([]);
  expect(await treeOf(image, newKey)).toEqual(before);
  expect((await reencryptImage(image, options)).oldImage).toBe(sibling);
  reader.close();
  expect(await reencryptImage(image, options)).toEqual({ ...result, contents: undefined, oldImage: undefined });
  expect(readdirSync(directory)).toEqual(['enc']);
  await isWhole(image);
});

test('meanwhile other processes can neither add a slot nor re-encrypt', async () => {
  const seen: Promise<string>[] = [];
  const onProgress = (): void => {
    seen.push(codeOf(addKeySlots(image, options, [newKey])), codeOf(reencryptImage(image, options)));
  };
  await reencryptImage(image, { ...options, onProgress });
  expect(new Set(await Promise.all(seen))).toEqual(new Set(['locked']));
});

describe('after an interruption', () => {
  /** Copies what kill -9 would leave at each group, and what it would leave between the last steps. */
  async function states(): Promise<string[]> {
    await makeLarge();
    const taken: string[] = [];
    const take = (): void => {
      const to = mkdtempSync(join(tmpdir(), 'ckptfs-state-'));
      for (const name of ['enc', 'enc.reencrypt'])
        if (existsSync(join(directory, name))) cpSync(join(directory, name), join(to, name), { recursive: true });
      taken.push(to);
    };
    await reencryptImage(image, { ...options, jobs: 1, onProgress: take, onVerifyProgress: take });
    return taken;
  }

  test('at every group: the image is readable, and the same call completes it', async () => {
    const taken = await states();
    expect(taken.length).toBeGreaterThan(9);
    const whole = await treeOf(image, newKey);
    for (const state of taken) {
      const at = join(state, 'enc');
      expect(await treeOfEither(at)).toEqual(whole);
      const begun = JSON.parse(headerOf(`${at}.reencrypt`)).image;
      expect((await reencryptImage(at, options)).imageId).toBe(begun);
      expect(await treeOf(at, newKey)).toEqual(whole);
      expect(readdirSync(state)).toEqual(['enc']);
      rmSync(state, { recursive: true });
    }
  });

  /** Interrupts after the first groups, and returns the id of the new image. */
  async function interrupt(given: ReencryptOptions = options): Promise<string> {
    await makeLarge();
    const controller = new AbortController();
    let groups = 0;
    const stop = (): void => {
      if (++groups === 3) controller.abort();
    };
    expect(
      await codeOf(reencryptImage(image, { ...given, jobs: 1, signal: controller.signal, onProgress: stop })),
    ).toBe('interrupted');
    return JSON.parse(headerOf(sibling)).image;
  }

  const objectsOf = (location: string): Map<string, Buffer> =>
    new Map(
      readdirSync(join(location, 'objects'), { recursive: true })
        .map(String)
        .filter((name) => name.length > 2)
        .map((name) => [name, readFileSync(join(location, 'objects', name))]),
    );

  test('what is sealed stays, byte for byte, and what was changed meanwhile is sealed again', async () => {
    const begun = await interrupt();
    const before = await treeOf(image, oldKey);
    const objects = objectsOf(sibling);
    const [name, bytes] = [...objects].find(([, { length }]) => length > 2 << 20) as [string, Buffer];
    const first = bytes.subarray(0, 1 << 20);
    const damaged = Buffer.from(bytes);
    damaged[(2 << 20) + 12345] = 77;
    writeFileSync(join(sibling, 'objects', name), damaged);
    writeFileSync(join(sibling, 'objects', name.slice(0, 2), `${name.slice(0, 2)}${'0'.repeat(30)}`), 'x');
    expect((await reencryptImage(image, options)).imageId).toBe(begun);
    expect(await treeOf(image, newKey)).toEqual(before);
    expect(objectsOf(image).get(name)?.subarray(0, first.length).equals(first)).toBe(true);
    await isWhole(image);
  });

  const notSymmetric = (key: Recipient): Recipient => ({ source: key.source, wrap: (k, id) => key.wrap(k, id) });

  test.each<[string, () => Partial<ReencryptOptions>]>([
    ['the new key is another one', () => ({ recipients: [symmetricKeyProvider(Secret.random(32), 'third key')] })],
    ['the recipients open nothing', () => ({ recipients: [notSymmetric(newKey)] })],
    ['the cipher is another one', () => ({ cipher: 'aes-128-xts' })],
    ['the suite is another one', () => ({ suite: 'fips' })],
    ['the chunk size is another one', () => ({ chunkSize: 32768 })],
    ['the compression is another one', () => ({ compression: { name: 'lz4' } })],
  ])('the work begins again where %s', async (_, change) => {
    const begun = await interrupt();
    const result = await reencryptImage(image, { ...options, ...change() });
    expect(result.imageId).not.toBe(begun);
    expect(readdirSync(directory).sort()).toEqual(['enc', 'source']);
  });

  test('a header that only the old key opens, as an attacker who has it could make, is not used', async () => {
    await interrupt({ ...options, recipients: [oldKey] });
    const planted = JSON.parse(headerOf(sibling)).image;
    expect((await reencryptImage(image, options)).imageId).not.toBe(planted);
    await isWhole(image);
  });

  test('a new image that was begun for another image is not touched', async () => {
    const begun = await interrupt();
    rmSync(image, { recursive: true });
    cpSync(join(frozenRoot, 'aes-256-xts', 'image'), image, { recursive: true });
    expect(await codeOf(reencryptImage(image, options))).toBe('exists');
    expect(JSON.parse(headerOf(sibling)).image).toBe(begun);
  });

  test('a directory that something else made beside the image is not touched', async () => {
    mkdirSync(sibling);
    writeFileSync(join(sibling, 'notes'), 'mine');
    expect(await codeOf(reencryptImage(image, options))).toBe('exists');
    expect(readFileSync(join(sibling, 'notes'), 'utf8')).toBe('mine');
  });
});

test('an image that is damaged is refused, with the file, and stays', async () => {
  await makeLarge();
  const objects = readdirSync(join(image, 'objects'), { recursive: true })
    .map(String)
    .filter((name) => name.length > 2);
  for (const name of objects) {
    const bytes = readFileSync(join(image, 'objects', name));
    bytes[9000] = (bytes[9000] as number) ^ 1;
    writeFileSync(join(image, 'objects', name), bytes);
  }
  await expect(reencryptImage(image, options)).rejects.toThrow(/^[abc]: object .* its tag does not match/);
  await EncryptedImage.open(image, { keys: [oldKey] }).then((opened) => opened.close());
});

test('an unsealed image, and one without a recipient, are refused', async () => {
  writeFileSync(join(image, 'journal'), '');
  expect(await codeOf(reencryptImage(image, options))).toBe('unsealed');
  expect(await codeOf(reencryptImage(image, { ...options, recipients: [] }))).toBe('bad-argument');
  expect(readdirSync(directory)).toEqual(['enc']);
});
