// Goal: a stub is what the index says, whatever was in its place. Method: a real image, pushed to a store in memory.
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { closeDescriptor } from '../../../../src/base/linux/descriptors.ts';
import { Directory } from '../../../../src/base/linux/directory.ts';
import { tryLock } from '../../../../src/base/linux/files.ts';
import { Secret } from '../../../../src/crypto/secret.ts';
import { encodeRemoteIndex, parseRemoteIndex, type RemoteIndex } from '../../../../src/format/remote-index.ts';
import { readHeader } from '../../../../src/image/read/image.ts';
import { symmetricKeyProvider } from '../../../../src/keys/symmetric-key.ts';
import { ImageWriter } from '../../../../src/library/image-writer.ts';
import { CacheDirectory } from '../../../../src/remote/lazy/cache-directory.ts';
import { Eviction } from '../../../../src/remote/lazy/eviction.ts';
import { prepareStub } from '../../../../src/remote/lazy/stub.ts';
import { pushImage } from '../../../../src/remote/push.ts';
import { sha256Hex } from '../../../../src/remote/shared/digest.ts';
import { openStore } from '../../../../src/stores/open-store.ts';
import { MemoryRemote } from '../../../support/memory-remote.ts';

const base = mkdtempSync(join(tmpdir(), 'ckptfs-stub-'));
const at = (...names: string[]): string => join(base, ...names);
const provider = symmetricKeyProvider(Secret.copy(Buffer.alloc(32, 7)));
const DAY = 24 * 3600;
const patience = { signal: new AbortController().signal, milliseconds: 600_000 };

const remote = new MemoryRemote();
let index: RemoteIndex;
let stub: string;
let image: string;
let cache: CacheDirectory;

beforeAll(async () => {
  const writer = await ImageWriter.create({
    destination: at('enc'),
    makeSlots: async (imageKey, imageId) => [await provider.wrap(imageKey, imageId)],
  });
  await writer.writeFile('pages-1.img', Buffer.alloc(700_000, 'pages'));
  writer.seal();
  const store = openStore(at('enc'));
  const options = { jobs: 1, signal: new AbortController().signal, partSize: 65_536 };
  await pushImage(store, readHeader(store), remote, options);
  store.close();
  index = parseRemoteIndex(remote.index ?? Buffer.alloc(0));
  stub = at('cache', 'images', sha256Hex(encodeRemoteIndex(index)));
  image = join(stub, 'image');
});
afterAll(() => rmSync(base, { recursive: true }));

beforeEach(() => {
  remote.fetched.length = 0;
  cache = CacheDirectory.open(at('cache'));
});
afterEach(() => {
  cache.close();
  rmSync(at('cache'), { recursive: true });
});

async function prepare(): Promise<void> {
  const made = await prepareStub(remote, index, cache, patience);
  expect(made.image).toBe(image);
  expect(made.table.count).toBe(index.blocks.size / 17);
  made.release();
}

function expectRight(): void {
  expect(readdirSync(image).sort()).toEqual(['ckptfs.json', 'manifest']);
  for (const name of readdirSync(image)) expect(readFileSync(join(image, name))).toEqual(readFileSync(at('enc', name)));
  expect(readFileSync(join(stub, 'index'))).toEqual(remote.index);
  expect(readdirSync(at('cache', 'images'))).toHaveLength(1);
}

test('a stub has the files that the index says, and is fetched once', async () => {
  await prepare();
  expectRight();
  const fetched = remote.fetched.length;
  expect(fetched).toBeGreaterThanOrEqual(3);
  await prepare();
  expect(remote.fetched).toHaveLength(fetched);
});

test.each<[string, () => void]>([
  ['other bytes', () => writeFileSync(join(image, 'manifest'), Buffer.alloc(statSync(at('enc', 'manifest')).size))],
  ['no header', () => rmSync(join(image, 'ckptfs.json'))],
  ['a table that is cut', () => writeFileSync(join(stub, 'blocks'), 'x')],
  ['no index', () => rmSync(join(stub, 'index'))],
  [
    'a link',
    () => {
      cpSync(join(image, 'manifest'), at('cache', 'elsewhere'));
      rmSync(join(image, 'manifest'));
      symlinkSync(at('cache', 'elsewhere'), join(image, 'manifest'));
    },
  ],
  ['a mark of an interrupted pull', () => writeFileSync(join(image, 'pull.new'), '')],
  [
    'directories',
    () => {
      rmSync(join(image, 'manifest'));
      mkdirSync(join(image, 'manifest', 'deeper'), { recursive: true });
      mkdirSync(join(image, 'objects', 'aa'), { recursive: true });
    },
  ],
  ['nothing', () => rmSync(image, { recursive: true })],
])('a stub with %s is mended', async (_what, spoil) => {
  await prepare();
  spoil();
  await prepare();
  expectRight();
});

test('a stub that a store has other bytes for is not made', async () => {
  const part = index.files[1]?.parts[0]?.digest ?? '';
  const bytes = remote.parts.get(part) ?? Buffer.alloc(0);
  remote.parts.set(part, Buffer.alloc(bytes.length, 1));
  try {
    await expect(prepareStub(remote, index, cache, patience)).rejects.toMatchObject({ code: 'damaged' });
  } finally {
    remote.parts.set(part, bytes);
  }
});

test('a stub that another process has locked is waited for, and not for ever', async () => {
  await prepare();
  const directory = Directory.open(image);
  const fd = directory.openReadable();
  expect(tryLock(fd)).toBe(true);
  const soon = prepareStub(remote, index, cache, { ...patience, milliseconds: 30 });
  await expect(soon).rejects.toMatchObject({ code: 'io', message: expect.stringContaining('locked') });
  const controller = new AbortController();
  const interrupted = prepareStub(remote, index, cache, { ...patience, signal: controller.signal });
  controller.abort();
  await expect(interrupted).rejects.toMatchObject({ code: 'interrupted' });
  const waiting = prepareStub(remote, index, cache, patience);
  closeDescriptor(fd);
  directory.close();
  (await waiting).release();
});

test('a stub goes when it is long unused and no process has it', async () => {
  const made = await prepareStub(remote, index, cache, patience);
  const eviction = new Eviction(cache, 1_000_000);
  const evict = async (): Promise<void> => {
    eviction.wrote(1);
    await eviction.run();
  };
  await evict();
  utimesSync(stub, Date.now() / 1000 - 31 * DAY, Date.now() / 1000 - 31 * DAY);
  await evict();
  expect(existsSync(image)).toBe(true);
  made.release();
  await evict();
  expect(readdirSync(at('cache', 'images'))).toEqual([]);
});
