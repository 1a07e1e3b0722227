import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { Region } from '../../../../src/base/linux/native.ts';
import { openImage, readHeader } from '../../../../src/image/read/image.ts';
import { recoverImage, sealImage } from '../../../../src/image/writable/close-unsealed.ts';
import { openWritable, type WritableOptions } from '../../../../src/image/writable/open-writable.ts';
import type { WritableImage } from '../../../../src/image/writable/writable-image.ts';
import { type DiskOperation, diskAfter } from '../../../support/memory-disk.ts';
import { RecordingStore, systemError } from '../../../support/recording-store.ts';
import { type BegunImage, describeModel, modelOfSealed, newImage, patternBytes, readAll } from './session.ts';

const chunkSize = 4096;
const owner = { mode: 0o600, uid: 0, gid: 0 };
const NAME = Buffer.from('pages-1.img');

function open({ store, header, imageKey }: BegunImage, options: WritableOptions = {}): WritableImage {
  return openWritable(store, header, imageKey, { poolSize: 1 << 18, ...options });
}

function write(image: WritableImage, number: number, offset: number, length: number, seed: number): void {
  image.write(number, offset, length, new Region(patternBytes(seed, length)), 0);
}

/** The image as it is after a crash. */
function crashed(begun: BegunImage, keep: (operation: DiskOperation) => DiskOperation | undefined): BegunImage {
  return { ...begun, store: new RecordingStore(diskAfter(begun.store.log, keep)) };
}

const all = (operation: DiskOperation): DiskOperation => operation;

function code(expected: string): unknown {
  return expect.objectContaining({ code: expected });
}

/** What a file of the root holds. */
function contentOf(image: WritableImage, name = NAME): Buffer {
  return readAll(image, image.lookup(1, name) as number);
}

describe('what a crash leaves', () => {
  test('an object whose header page was lost gets it again', async () => {
    const begun = await newImage('aes-256-xts', chunkSize);
    const image = open(begun);
    write(image, image.create(1, NAME, owner), 0, 3 * chunkSize, 1);
    image.commit();
    const isHeader = (operation: DiskOperation): boolean =>
      operation.kind === 'write' && operation.bytes.subarray(0, 8).toString() === 'ckptobj1';
    const left = crashed(begun, (operation) => (isHeader(operation) ? undefined : operation));
    expect(contentOf(open(left))).toEqual(patternBytes(1, 3 * chunkSize));
  });

  test.each(['ENOSPC', 'EDQUOT', 'EIO'])(
    'objects that cannot be made durable are not tried again (%s)',
    async (errno) => {
      const begun = await newImage('aes-256-xts', chunkSize);
      const image = open(begun);
      write(image, image.create(1, NAME, owner), 0, 3 * chunkSize, 1);
      image.commit();
      const left = crashed(begun, all);
      let syncs = 0;
      left.store.fault = ({ kind }) => (kind === 'sync' && syncs++ === 0 ? systemError(errno) : undefined);
      expect(() => open(left)).toThrow(code('io'));
      expect(syncs).toBe(1);
      left.store.fault = undefined;
      expect(contentOf(open(left))).toEqual(patternBytes(1, 3 * chunkSize));
    },
  );

  test('a group of which the journal names no chunk, since writing it failed, is no obstacle', async () => {
    const begun = await newImage('aes-256-xts', chunkSize);
    const image = open(begun);
    const file = image.create(1, NAME, owner);
    write(image, file, 0, 100 * chunkSize, 1);
    let writes = 0;
    begun.store.fault = ({ kind }) => (kind === 'write' && writes++ === 3 ? systemError('EIO') : undefined);
    expect(() => write(image, file, 0, 400 * chunkSize, 2)).toThrow(code('io'));
    begun.store.fault = undefined;
    write(image, file, 50 * chunkSize, 10 * chunkSize, 3);
    image.commit();
    const expected = readAll(image, file);
    const left = crashed(begun, all);
    expect(contentOf(open(left)).equals(expected)).toBe(true);
    const again = crashed(begun, all);
    sealImage(again.store, again.header, again.imageKey);
    expect(readHeader(again.store)).toEqual(begun.header);
    const sealed = modelOfSealed(again).children.get(NAME.toString());
    expect(sealed?.type === 'file' && sealed.bytes.equals(expected)).toBe(true);
    const { manifest } = openImage(again.store, again.header, again.imageKey);
    for (const { id, chunks, digests } of manifest.objects) {
      const object = again.store.disk.names.get(`objects/${id.toString('hex')}`);
      for (let group = 0; group < Math.ceil(chunks / 128); group++) {
        const page = object?.read(4096 + group * (4096 + 128 * chunkSize), 4096) ?? Buffer.alloc(0);
        const digest = createHash('sha256').update(page).digest();
        expect(digests.subarray(group * 32, group * 32 + 32)).toEqual(digest);
      }
    }
  });

  test('a tag page that could not be written is written later', async () => {
    const begun = await newImage('aes-256-xts', chunkSize);
    const image = open(begun);
    const file = image.create(1, NAME, owner);
    write(image, file, 0, 100 * chunkSize, 1);
    let writes = 0;
    begun.store.fault = ({ kind }) => (kind === 'write' && writes++ === 1 ? systemError('EIO') : undefined);
    expect(() => write(image, file, 0, 50 * chunkSize, 2)).toThrow(code('io'));
    begun.store.fault = undefined;
    image.commit();
    write(image, file, 200 * chunkSize, 10 * chunkSize, 3);
    image.commit();
    const expected = readAll(image, file);
    expect(expected.subarray(0, 100 * chunkSize).equals(patternBytes(1, 100 * chunkSize))).toBe(true);
    image.seal();
    image.close();
    const sealed = modelOfSealed(begun).children.get(NAME.toString());
    expect(sealed?.type === 'file' && sealed.bytes.equals(expected)).toBe(true);
  });

  test('a commit of many chunks that failed names all of them when it is tried again', async () => {
    const begun = await newImage('aes-256-xts', chunkSize);
    const image = open(begun);
    const file = image.create(1, NAME, owner);
    write(image, file, 0, 300 * chunkSize, 1);
    begun.store.fault = () => systemError('ENOSPC');
    expect(() => image.commit()).toThrow(code('io'));
    begun.store.fault = undefined;
    image.commit();
    expect(contentOf(open(crashed(begun, all))).equals(patternBytes(1, 300 * chunkSize))).toBe(true);
  });

  test('data that did not come to the disk: refused, then dropped, and said', async () => {
    const begun = await newImage('aes-256-xts', chunkSize);
    const image = open(begun);
    const file = image.create(1, NAME, owner);
    write(image, file, 0, chunkSize, 1);
    image.sync();
    write(image, file, 0, chunkSize, 2);
    image.commit();
    write(image, file, 0, chunkSize, 3);
    image.commit();
    let dataWrites = 0;
    const journal = begun.store.disk.names.get('journal')?.number;
    const left = crashed(begun, (operation) => {
      const isData = operation.kind === 'write' && operation.file !== journal && operation.position > 4096;
      return isData && dataWrites++ === 0 ? undefined : operation;
    });
    expect(() => open(left)).toThrow(code('unsealed'));
    expect(() => sealImage(left.store, left.header, left.imageKey)).toThrow(code('unsealed'));
    expect(recoverImage(left.store, left.header, left.imageKey).dropped).toContain('2 commits');
    expect(recoverImage(left.store, left.header, left.imageKey).dropped).toBeUndefined();
    expect(contentOf(open(left))).toEqual(patternBytes(1, chunkSize));
  });

  test('a frame that was being written, or room for one, goes without a word, anything else at the end does not', async () => {
    const begun = await newImage('aes-256-xts', chunkSize);
    const image = open(begun);
    image.create(1, NAME, owner);
    image.mkdir(1, Buffer.from('d'), owner);
    const size = begun.store.disk.names.get('journal')?.size ?? 0;
    for (const cut of [1, 3, 4, 20, 60]) {
      const left = crashed(begun, all);
      left.store.disk.names.get('journal')?.truncate(size - cut);
      const reopened = open(left);
      expect([reopened.lookup(1, NAME), reopened.lookup(1, Buffer.from('d'))]).toEqual([2, undefined]);
    }
    // Room that was taken ahead, of which a file system shows the length after all.
    for (const length of [1, 4, 27, 28, 100, 64 << 10, (64 << 10) + 1, 300_000]) {
      const left = crashed(begun, all);
      left.store.disk.names.get('journal')?.write(size, Buffer.alloc(length));
      expect(recoverImage(left.store, left.header, left.imageKey)).toEqual({ dropped: undefined });
      const again = crashed(begun, all);
      again.store.disk.names.get('journal')?.write(size, Buffer.alloc(length));
      expect(open(again).inodeCount).toBe(3);
      left.store.disk.names.get('journal')?.write(size, Buffer.alloc(length));
      sealImage(left.store, left.header, left.imageKey);
      expect(open(left).inodeCount).toBe(3);
    }
    const far = Buffer.alloc(200_000);
    far.writeUInt8(1, 199_999);
    for (const tail of [Buffer.concat([Buffer.alloc(99), Buffer.alloc(1, 1)]), Buffer.alloc(100, 0x11), far]) {
      const left = crashed(begun, all);
      left.store.disk.names.get('journal')?.write(size, tail);
      expect(() => open(left)).toThrow(code('unsealed'));
      expect(recoverImage(left.store, left.header, left.imageKey).dropped).toContain('end of the journal');
      expect(open(left).inodeCount).toBe(3);
    }
  });

  test('a header and nothing else is an unfinished image', async () => {
    const begun = await newImage('aes-256-xts', chunkSize);
    begun.store.disk.apply({ kind: 'remove', name: 'journal' });
    for (const use of [open, recover, seal]) expect(() => use(begun)).toThrow(code('unfinished'));
  });

  test('objects that the image does not name are removed when it is opened again', async () => {
    const begun = await newImage('aes-256-xts', chunkSize);
    begun.store.createObject('0'.repeat(32));
    open(begun).close();
    expect(begun.store.list().objects).toEqual([]);
  });
});

function recover({ store, header, imageKey }: BegunImage): void {
  recoverImage(store, header, imageKey);
}

function seal({ store, header, imageKey }: BegunImage): void {
  sealImage(store, header, imageKey);
}

describe('a journal beside a manifest', () => {
  /** An image sealed once, and the journal it had. */
  async function sealedWithJournal(): Promise<readonly [BegunImage, Buffer]> {
    const begun = await newImage('aes-256-xts', chunkSize);
    const image = open(begun);
    write(image, image.create(1, NAME, owner), 0, 3 * chunkSize, 1);
    image.commit();
    const journal = begun.store.disk.names.get('journal');
    const bytes = journal?.read(0, journal.size) ?? Buffer.alloc(0);
    image.seal();
    image.close();
    return [begun, bytes];
  }

  function put({ store }: BegunImage, journal: Buffer): void {
    const draft = store.beginJournal();
    draft.append(journal);
    draft.publish();
  }

  test('of an older epoch is what a seal left that was interrupted: it goes, with what the manifest does not know', async () => {
    const [begun, journal] = await sealedWithJournal();
    const expected = describeModel(modelOfSealed(begun));
    for (const use of [recover, seal, (image: BegunImage) => open(image).close()]) {
      const left = { ...begun, store: new RecordingStore(diskAfter(begun.store.log, all)) };
      put(left, journal);
      left.store.createObject('0'.repeat(32));
      expect(() => readHeader(left.store)).toThrow(code('unsealed'));
      use(left);
      seal(left);
      expect(describeModel(modelOfSealed(left))).toBe(expected);
      expect(left.store.list().objects.length).toBe(1);
    }
  });

  test('of a newer epoch than the manifest, which was put back, is damage', async () => {
    const [begun] = await sealedWithJournal();
    const old = begun.store.readNamed('manifest', 1 << 20) as Buffer;
    const image = open(begun);
    image.seal();
    image.close();
    open(begun).close();
    begun.store.publish('manifest', old);
    for (const use of [open, recover, seal]) expect(() => use(begun)).toThrow(code('damaged'));
  });

  test('a sealed image is left alone by seal and recover', async () => {
    const [begun] = await sealedWithJournal();
    const before = begun.store.log.length;
    seal(begun);
    recover(begun);
    expect(begun.store.log.length).toBe(before);
    expect(openImage(begun.store, begun.header, begun.imageKey).manifest.epoch).toBe(1);
  });
});

test('there is one writer, until it is closed or could not be', async () => {
  const begun = await newImage('aes-256-xts', chunkSize);
  const image = open(begun);
  for (const use of [open, recover, seal]) expect(() => use(begun)).toThrow(code('locked'));
  image.close();
  begun.store.fault = () => systemError('ENOSPC');
  expect(() => open(begun)).toThrow(code('io'));
  begun.store.fault = undefined;
  open(begun).close();
});

test('after making something durable failed nothing can be changed, and all is there when it is opened again', async () => {
  const begun = await newImage('aes-256-xts', chunkSize);
  const image = open(begun);
  const file = image.create(1, NAME, owner);
  write(image, file, 0, 2 * chunkSize, 1);
  begun.store.fault = ({ kind }) => (kind === 'sync' ? systemError('EIO') : undefined);
  expect(() => image.sync()).toThrow(code('io'));
  begun.store.fault = undefined;
  const changes = [
    () => image.sync(),
    () => image.commit(),
    () => image.seal(),
    () => write(image, file, 0, 1, 1),
    () => image.create(1, Buffer.from('other'), owner),
  ];
  for (const change of changes) expect(change).toThrow(code('io'));
  expect(readAll(image, file)).toEqual(patternBytes(1, 2 * chunkSize));
  image.close();
  expect(contentOf(open(begun))).toEqual(patternBytes(1, 2 * chunkSize));
});

describe('space', () => {
  test('a file rewritten again and again takes little more than once its room', async () => {
    const begun = await newImage('aes-256-xts', chunkSize);
    const image = open(begun, { limits: { pending: 1 << 20, journal: 1 << 20, freed: 100 * chunkSize } });
    const file = image.create(1, NAME, owner);
    for (let round = 0; round < 30; round++) write(image, file, 0, 50 * chunkSize, round);
    expect(begun.store.disk.usedBytes).toBeLessThan(250 * chunkSize);
    expect(readAll(image, file)).toEqual(patternBytes(29, 50 * chunkSize));
  });

  test('what is punched out comes back with the next sync but one, and all of it at the seal', async () => {
    const begun = await newImage('aes-256-xts', 4 * chunkSize);
    const image = open(begun);
    const file = image.create(1, NAME, owner);
    write(image, file, 0, 400 * chunkSize, 1);
    image.sync();
    const full = begun.store.disk.usedBytes;
    image.punch(file, 0, 398 * chunkSize);
    image.sync();
    write(image, file, 399 * chunkSize, 1, 1);
    image.sync();
    expect(begun.store.disk.usedBytes).toBeLessThan(full - 380 * chunkSize);
    image.seal();
    image.close();
    const sealed = modelOfSealed(begun).children.get(NAME.toString());
    expect(sealed?.type === 'file' && sealed.sectors.filter((isData) => isData).length).toBe(2);
    expect(begun.store.disk.usedBytes).toBeLessThan(40 * chunkSize);
  });

  test('what is punched out of a sealed image comes back too, and what of it was half written', async () => {
    const begun = await newImage('aes-256-xts', chunkSize);
    const first = open(begun);
    write(first, first.create(1, NAME, owner), 0, 60 * chunkSize, 1);
    first.seal();
    first.close();
    const image = open(begun);
    const file = image.lookup(1, NAME) as number;
    const full = begun.store.disk.usedBytes;
    image.punch(file, 20 * chunkSize, 30 * chunkSize);
    let writes = 0;
    begun.store.fault = ({ kind }) => (kind === 'write' && writes++ === 2 ? systemError('ENOSPC') : undefined);
    expect(() => write(image, file, 0, 600 * chunkSize, 2)).toThrow(code('io'));
    begun.store.fault = undefined;
    for (const at of [1, 2, 3]) {
      write(image, file, 0, 10, at);
      image.sync();
    }
    expect(begun.store.disk.usedBytes).toBeLessThan(full - 15 * chunkSize);
  });

  test('where holes cannot be punched everything else works', async () => {
    const begun = await newImage('aes-256-xts', chunkSize);
    begun.store.canPunch = false;
    const image = open(begun);
    const file = image.create(1, NAME, owner);
    write(image, file, 0, 10 * chunkSize, 1);
    image.sync();
    write(image, file, 0, 10 * chunkSize, 2);
    image.sync();
    image.sync();
    image.seal();
    expect(readAll(image, file)).toEqual(patternBytes(2, 10 * chunkSize));
  });

  test('the journal stays small for what it says, also with objects that were begun and are dead', async () => {
    const begun = await newImage('aes-256-xts', chunkSize);
    const limits = { pending: 1 << 20, journal: 5000, freed: 1 << 30 };
    const image = open(begun, { limits });
    const file = image.create(1, NAME, owner);
    for (let round = 0; round < 300; round++) {
      write(image, file, 0, 2 * chunkSize, round);
      image.commit();
      expect(begun.store.disk.names.get('journal')?.size).toBeLessThan(6000);
    }
    expect(begun.store.list().objects.length).toBeLessThan(4);
    const left = crashed(begun, all);
    expect(contentOf(open(left))).toEqual(patternBytes(299, 2 * chunkSize));
  });

  test('a 4 KiB file takes one sector', async () => {
    const begun = await newImage('aes-256-xts', 65536);
    const image = open(begun);
    const before = begun.store.disk.usedBytes;
    for (let at = 0; at < 20; at++) write(image, image.create(1, Buffer.from(`f${at}`), owner), 0, 4096, at);
    image.sync();
    // Besides them the object's header, the tag page of its first 16 chunks and some pages of the journal.
    expect(begun.store.disk.usedBytes - before).toBeLessThan(25 * 4096);
  });
});

test('an older manifest, though authentic, is not the one that another thread has opened', async () => {
  const begun = await newImage('aes-256-xts', chunkSize);
  open(begun).seal();
  const old = begun.store.readNamed('manifest', 1 << 20);
  const again = { ...begun, store: new RecordingStore(diskAfter(begun.store.log, all)) };
  const image = open(again);
  write(image, image.create(1, NAME, owner), 0, chunkSize, 1);
  image.seal();
  image.close();
  const { manifestDigest } = openImage(again.store, again.header, again.imageKey);
  expect(openImage(again.store, again.header, again.imageKey, manifestDigest).manifest.epoch).toBe(2);
  const swapped = { ...begun, store: new RecordingStore(diskAfter(begun.store.log, all)) };
  expect(swapped.store.readNamed('manifest', 1 << 20)).toEqual(old);
  expect(openImage(swapped.store, swapped.header, swapped.imageKey).manifest.epoch).toBe(1);
  expect(() => openImage(swapped.store, swapped.header, swapped.imageKey, manifestDigest)).toThrow(code('damaged'));
});
