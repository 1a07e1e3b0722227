// Goal: whatever ends a push or a pull, nothing that is half looks whole, and the next one ends it with no more than
// was missing. Method: a real image on a disk, a remote store in memory that fails after each number of calls in turn.
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { CkptfsError } from '../../../src/base/errors.ts';
import { Secret } from '../../../src/crypto/secret.ts';
import { BlockTable } from '../../../src/format/block-table.ts';
import { PACKED_BLOCK_SIZE, PartUnpacker, packPart } from '../../../src/format/packed-part.ts';
import { encodeRemoteIndex, parseRemoteIndex, partsOf, type RemotePart } from '../../../src/format/remote-index.ts';
import type { MakeSlots } from '../../../src/image/create/new-header.ts';
import { readHeader } from '../../../src/image/read/image.ts';
import { symmetricKeyProvider } from '../../../src/keys/symmetric-key.ts';
import { EncryptedImage } from '../../../src/library/encrypted-image.ts';
import { ImageWriter } from '../../../src/library/image-writer.ts';
import { pullImage } from '../../../src/remote/pull.ts';
import { pushImage } from '../../../src/remote/push.ts';
import { openStore } from '../../../src/stores/open-store.ts';
import { MemoryRemote } from '../../support/memory-remote.ts';
import { partOf } from './contract.ts';

const base = mkdtempSync(join(tmpdir(), 'ckptfs-pull-'));
const at = (...names: string[]): string => join(base, ...names);
const provider = symmetricKeyProvider(Secret.copy(Buffer.alloc(32, 7)));
const signal = new AbortController().signal;
/** Small, so that an object has several parts. */
const partSize = 65_536;

let remote: MemoryRemote;

beforeAll(async () => {
  for (const destination of ['enc', 'other']) {
    const makeSlots: MakeSlots = async (imageKey, imageId) => [await provider.wrap(imageKey, imageId)];
    const writer = await ImageWriter.create({ destination: at(destination), makeSlots });
    await writer.writeFile('pages-1.img', Buffer.alloc(200_000, 'pages'));
    await writer.writeFile('core-1.img', Buffer.from('core'));
    writer.seal();
  }
});
afterAll(() => rmSync(base, { recursive: true }));

beforeEach(() => {
  remote = new MemoryRemote();
  rmSync(at('copy'), { recursive: true, force: true });
});

async function push(name = 'enc', options: { replace?: boolean } = {}) {
  const store = openStore(at(name));
  try {
    return await pushImage(store, readHeader(store), remote, { jobs: 1, signal, partSize, ...options });
  } finally {
    store.close();
  }
}

const pull = (options: { imageId?: string; jobs?: number } = {}) =>
  pullImage(remote, at('copy'), { jobs: 1, signal, holder: 'a test', ...options });

const codeOf = (promise: Promise<unknown>): Promise<string | undefined> =>
  promise.then(
    () => undefined,
    (error: CkptfsError) => error.code,
  );

/** The files of an image by name, with their bytes. */
function filesIn(name: string): Map<string, string> {
  const names = readdirSync(at(name), { recursive: true, encoding: 'utf8' }).sort();
  const files = names.filter((each) => statSync(at(name, each)).isFile());
  return new Map(files.map((each) => [each, readFileSync(at(name, each)).toString('base64')]));
}

function failsAsDamaged(read: () => unknown): boolean {
  try {
    read();
    return false;
  } catch (error) {
    return (error as CkptfsError).code === 'damaged';
  }
}

const open = async (): Promise<void> => (await EncryptedImage.open(at('copy'), { keys: [provider] })).close();

describe('a push', () => {
  test('stores a table of the blocks that it stored', async () => {
    await push();
    const index = parseRemoteIndex(remote.index ?? Buffer.alloc(0));
    const unpacked: Buffer[] = [];
    for (const part of partsOf(index.blocks, partSize)) {
      const sink = (block: Buffer): void => void unpacked.push(Buffer.from(block));
      const unpacker = new PartUnpacker(part.length, Buffer.alloc(PACKED_BLOCK_SIZE), sink);
      unpacker.write(remote.parts.get(part.digest) ?? Buffer.alloc(0));
      expect(unpacker.isWhole).toBe(true);
    }
    const table = new BlockTable(Buffer.concat(unpacked), index);
    expect(table.count).toBeGreaterThan(1);
    for (let block = 0; block < table.count; block++) {
      const { file, part, offset, packedSize, digest } = table.placeOf(block);
      const stored = remote.parts.get(index.files[file]?.parts[part]?.digest ?? '');
      expect(partOf(stored?.subarray(offset, offset + packedSize) ?? Buffer.alloc(0)).digest.slice(0, 32)).toBe(digest);
    }
  });

  test('sends each part once, and nothing again', async () => {
    const first = await push();
    expect(first.movedParts).toBe(first.parts);
    expect(new Set(remote.stored).size).toBe(remote.stored.length);
    expect(await push()).toMatchObject({ movedParts: 0, movedBytes: 0 });
  });

  test('that fails at any call is not seen, and the next one sends the rest', async () => {
    await push();
    const whole = remote.index;
    const calls = 2 * remote.stored.length + 2;
    for (let answered = 0; answered < calls; answered++) {
      remote = new MemoryRemote();
      remote.left = answered;
      expect(await codeOf(push()), `${answered} calls`).toBe('store-unavailable');
      expect(remote.index).toBeUndefined();
      remote.left = Number.POSITIVE_INFINITY;
      const before = remote.stored.length;
      expect(await push()).toMatchObject({ movedParts: remote.stored.length - before });
      expect(remote.index).toEqual(whole);
      expect(new Set(remote.stored).size).toBe(remote.stored.length);
    }
  });

  test('does not take the place of another image, unless that is wanted', async () => {
    await push('other');
    expect(await codeOf(push())).toBe('exists');
    await push('enc', { replace: true });
    await pull();
    expect(filesIn('copy')).toEqual(filesIn('enc'));
  });

  test('sends no holes, and what is sent has the announced size', async () => {
    mkdirSync(at('sparse'));
    try {
      cpSync(at('enc'), at('sparse'), { recursive: true });
      const object = readdirSync(at('sparse/objects'), { recursive: true, encoding: 'utf8' }).find(
        (name) => name.length > 2,
      );
      truncateSync(at('sparse/objects', object ?? ''), 100 * partSize);
      const { size, movedBytes } = await push('sparse');
      expect(size).toBeGreaterThan(100 * partSize);
      expect(movedBytes).toBeLessThan(10 * partSize);
      await pull();
      expect(filesIn('copy')).toEqual(filesIn('sparse'));
    } finally {
      rmSync(at('sparse'), { recursive: true });
    }
  });

  test('ends when it is told to', async () => {
    const controller = new AbortController();
    controller.abort();
    const store = openStore(at('enc'));
    const pushed = pushImage(store, readHeader(store), remote, { jobs: 1, signal: controller.signal, partSize });
    expect(await codeOf(pushed)).toBe('interrupted');
    expect(remote.index).toBeUndefined();
    store.close();
  });
});

describe('a pull', () => {
  test('brings all bytes, and no files but those of the image', async () => {
    await push();
    const { parts, movedParts } = await pull({ jobs: 4 });
    expect(movedParts).toBe(parts);
    expect(filesIn('copy')).toEqual(filesIn('enc'));
    await open();
    expect(await codeOf(pull())).toBe('exists');
  });

  test('that fails at any call leaves an image that nothing opens, and the next one brings the rest', async () => {
    await push();
    await pull();
    const calls = remote.fetched.length + 1;
    for (let answered = 0; answered < calls; answered++) {
      rmSync(at('copy'), { recursive: true, force: true });
      remote.fetched.length = 0;
      remote.left = answered;
      expect(await codeOf(pull()), `${answered} calls`).toBe('store-unavailable');
      if (existsSync(at('copy'))) expect(await codeOf(open())).toBe('unfinished');
      remote.left = Number.POSITIVE_INFINITY;
      await pull();
      expect(filesIn('copy')).toEqual(filesIn('enc'));
      // The header alone is fetched each time: it says which image it is.
      const again = remote.fetched.filter((digest, index) => remote.fetched.indexOf(digest) !== index);
      expect(new Set(again).size).toBeLessThanOrEqual(1);
    }
  });

  test('keeps holes, and mends what was cut or altered in what is there', async () => {
    await push();
    remote.left = 4;
    await codeOf(pull());
    const begun = readdirSync(at('copy/objects'), { recursive: true, encoding: 'utf8' }).filter(
      (name) => name.length > 2,
    );
    for (const [index, name] of begun.entries()) {
      if (index % 2 === 0) truncateSync(at('copy/objects', name), 5000);
      else writeFileSync(at('copy/objects', name), Buffer.alloc(5_000_000, 'x'));
    }
    mkdirSync(at('copy/objects/ff'), { recursive: true });
    writeFileSync(at(`copy/objects/ff/${'ff'.repeat(16)}`), 'of an earlier push');
    remote.left = Number.POSITIVE_INFINITY;
    await pull();
    expect(filesIn('copy')).toEqual(filesIn('enc'));
    const blocks = (name: string): number =>
      [...filesIn(name).keys()].reduce((sum, file) => sum + statSync(at(name, file)).blocks, 0);
    expect(blocks('copy')).toBeLessThanOrEqual(blocks('enc') + 16);
  });

  test('refuses another image than the wanted one, and makes nothing', async () => {
    await push();
    expect(await codeOf(pull({ imageId: '00'.repeat(16) }))).toBe('wrong-image');
    expect(existsSync(at('copy'))).toBe(false);
  });

  test('goes on in no directory but one of its own', async () => {
    await push();
    mkdirSync(at('copy'), { mode: 0o700 });
    writeFileSync(at('copy/pull.new'), `${'00'.repeat(16)}\n`);
    expect(await codeOf(pull())).toBe('exists');
    rmSync(at('copy/pull.new'));
    writeFileSync(at('copy/notes'), 'of a user');
    expect(await codeOf(pull())).toBe('exists');
    expect(readdirSync(at('copy'))).toEqual(['notes']);
    rmSync(at('copy/notes'));
    chmodSync(at('copy'), 0o777);
    expect(await codeOf(pull())).toBe('exists');
  });

  test('does not touch an image that was written after it was pulled', async () => {
    await push();
    await pull();
    writeFileSync(at('copy/pull.new'), `${/[0-9a-f]{32}/.exec(readFileSync(at('enc/ckptfs.json'), 'utf8'))?.[0]}\n`);
    writeFileSync(at('copy/manifest'), 'of another seal');
    expect(await codeOf(pull())).toBe('exists');
    expect(readFileSync(at('copy/manifest'), 'utf8')).toBe('of another seal');
  });
});

describe('a hostile store', () => {
  test.each([
    ['other bytes of the same size', (bytes: Buffer) => Buffer.alloc(bytes.length, 1)],
    [
      'one bit that is another',
      (bytes: Buffer) => Buffer.concat([bytes.subarray(0, -1), Buffer.from([(bytes.at(-1) ?? 0) ^ 1])]),
    ],
  ])('that has %s is found out for each part', async (_, alter) => {
    await push();
    const ofTable = parseRemoteIndex(remote.index ?? Buffer.alloc(0)).blocks.parts.map(({ digest }) => digest);
    for (const [digest, bytes] of [...remote.parts]) {
      if (ofTable.includes(digest)) continue;
      rmSync(at('copy'), { recursive: true, force: true });
      remote.parts.set(digest, alter(bytes));
      expect(await codeOf(pull())).toBe('damaged');
      expect(existsSync(at('copy/manifest'))).toBe(false);
      remote.parts.set(digest, bytes);
    }
  });

  test('that packs a part in another form is found out', async () => {
    await push();
    const index = parseRemoteIndex(remote.index ?? Buffer.alloc(0));
    const [header, ...rest] = index.files;
    const [part] = header?.parts ?? [];
    if (header === undefined || part === undefined) throw new Error('no header');
    // A map that says that there are no pages, and bytes that belong to none.
    const packed = Buffer.concat([Buffer.alloc(8), Buffer.alloc(part.size - 8, 'x')]);
    remote.parts.set(partOf(packed).digest, packed);
    remote.index = encodeRemoteIndex({ ...index, files: [{ ...header, parts: [partOf(packed)] }, ...rest] });
    expect(await codeOf(pull())).toBe('damaged');
    expect(existsSync(at('copy'))).toBe(false);
  });

  test('that gives out the header of another image is found out', async () => {
    await push();
    const index = parseRemoteIndex(remote.index ?? Buffer.alloc(0));
    remote.index = encodeRemoteIndex({ ...index, imageId: '00'.repeat(16) });
    expect(await codeOf(pull())).toBe('damaged');
    expect(existsSync(at('copy'))).toBe(false);
  });

  test('that makes an index of its own gives an image that no key opens', async () => {
    await push('other');
    const index = parseRemoteIndex(remote.index ?? Buffer.alloc(0));
    const [header, manifest, first, ...rest] = index.files;
    if (header === undefined || manifest === undefined || first === undefined) throw new Error('no object');
    const bytes = Buffer.alloc(first.size, 1);
    const parts: RemotePart[] = [];
    for (let start = 0; start < bytes.length; start += partSize) {
      const packed = packPart(bytes.subarray(start, start + partSize));
      const part = partOf(packed);
      remote.parts.set(part.digest, packed);
      parts.push(part);
    }
    remote.index = encodeRemoteIndex({ ...index, files: [header, manifest, { ...first, parts }, ...rest] });
    await pull();
    const image = await EncryptedImage.open(at('copy'), { keys: [provider] });
    const reads = ['pages-1.img', 'core-1.img'].map((name) => () => image.readAt(name, 0, Buffer.alloc(4)));
    expect(reads.filter((read) => failsAsDamaged(read))).not.toEqual([]);
    image.close();
  });
});
