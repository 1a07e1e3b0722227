import {
  cpSync,
  existsSync,
  fstatSync,
  linkSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeEach, expect, test, vi } from 'vitest';
import { CkptfsError } from '../../../src/base/errors.ts';
import { Directory } from '../../../src/base/linux/directory.ts';
import { Secret } from '../../../src/crypto/secret.ts';
import type { Slot } from '../../../src/format/slot.ts';
import { createDefaultKey, destroyDefaultKey } from '../../../src/keys/default-key.ts';
import { readKeyFile } from '../../../src/keys/key-file.ts';
import { storeInKeyring } from '../../../src/keys/keyring.ts';
import { symmetricKeyProvider } from '../../../src/keys/symmetric-key.ts';
import { EncryptedImage } from '../../../src/library/encrypted-image.ts';
import { addKeySlots, listKeySlots } from '../../../src/library/key-slots.ts';
import { type DestroyableKey, shredImage } from '../../../src/library/shred.ts';
import { openWritableStore } from '../../../src/stores/open-store.ts';
import { frozenRoot, keyFile } from '../../support/frozen-images.ts';

const directory = mkdtempSync(join(tmpdir(), 'ckptfs-shred-'));
const image = join(directory, 'enc');
const header = join(image, 'ckptfs.json');
const options = { keys: [symmetricKeyProvider(readKeyFile(keyFile()).key)] };
let imageId: string;

beforeEach(() => {
  process.env['XDG_CONFIG_HOME'] = join(directory, 'config');
  rmSync(image, { recursive: true, force: true });
  cpSync(join(frozenRoot, 'aes-256-xts', 'image'), image, { recursive: true });
  imageId = listKeySlots(image).imageId;
});
afterAll(() => rmSync(directory, { recursive: true }));

/** A service that holds a key until it is destroyed. @param keeps whether it only says that it is */
function service(keeps = false) {
  const held = symmetricKeyProvider(Secret.random(32), 'service:7', { kind: 'kmip' });
  let isDestroyed = false;
  const indexes = async (slots: readonly Slot[], id: Buffer): Promise<number[]> => {
    const found = await held.unwrap(slots, id);
    return found?.slot === undefined ? [] : [found.slot];
  };
  const destroying: DestroyableKey = {
    source: held.source,
    unwrap: async (slots, id) => {
      if (!isDestroyed || keeps) return held.unwrap(slots, id);
      throw new CkptfsError('key-unavailable', 'service:7: it is destroyed', { data: { reason: 'absent' } });
    },
    destroyKeyOf: async (slots, id) => {
      const own = await indexes(slots, id);
      if (own.length === 0) throw new CkptfsError('bad-argument', 'service:7: no key slot of this image is for it');
      isDestroyed = true;
      return own;
    },
  };
  return { recipient: held, destroying };
}

async function refusal(work: Promise<unknown>): Promise<CkptfsError> {
  return work.then(
    () => expect.unreachable('it was not refused'),
    (error: CkptfsError) => error,
  );
}

function readSlots(): { readonly slots: readonly Slot[] } {
  return JSON.parse(readFileSync(header, 'utf8'));
}

async function reasonOfOpening(): Promise<unknown> {
  const error = await refusal(EncryptedImage.open(image, options));
  return [error.code, error.data];
}

test('the slots are overwritten where they are, and the image says that it was shredded', async () => {
  const fd = openSync(header, 'r');
  const before = readFileSync(header);
  const { slots } = listKeySlots(image);
  const shredded = await shredImage(image, { imageId, destroyKeys: [] });
  expect(shredded).toEqual({
    imageId,
    slots: slots.length,
    destroyedKeys: [],
    keyFile: undefined,
    wasKept: false,
    openCopies: slots,
  });
  const there = Buffer.alloc(before.length + 1, 1);
  expect(readSync(fd, there, 0, there.length, 0)).toBe(before.length);
  expect(there.subarray(0, before.length).every((byte) => byte === 0)).toBe(true);
  expect(await reasonOfOpening()).toEqual(['not-an-image', { reason: 'shredded' }]);
  expect(readFileSync(header, 'utf8')).toMatch(/"shredded": "\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"\n}\n$/);
  const again = await refusal(shredImage(image, { imageId, destroyKeys: [] }));
  expect(again.message).toMatch(/was shredded at \d{4}-\d\d-\d\dT/);
});

test('what an interruption left of writing a header is overwritten as well', async () => {
  writeFileSync(`${header}.new`, readFileSync(header));
  const fd = openSync(`${header}.new`, 'r');
  await shredImage(image, { imageId, destroyKeys: [] });
  expect(existsSync(`${header}.new`)).toBe(false);
  const there = Buffer.alloc(16, 1);
  expect(readSync(fd, there, 0, 16, 0)).toBe(16);
  expect(there.every((byte) => byte === 0)).toBe(true);
});

test('the key of a service is destroyed first, and its slots open no copy any more', async () => {
  const { recipient, destroying } = service();
  await addKeySlots(image, options, [recipient]);
  const { slots } = listKeySlots(image);
  const shredded = await shredImage(image, { imageId, destroyKeys: [destroying] });
  expect(shredded.destroyedKeys).toEqual(['service:7']);
  expect(shredded.openCopies).toEqual(slots.slice(0, -1));
});

test('the default key file and the key that the kernel keeps are destroyed as well', async () => {
  const id = Buffer.from(imageId, 'hex');
  const path = createDefaultKey(id);
  const fd = openSync(path, 'r');
  storeInKeyring(`ckptfs:${imageId}`, Secret.random(32), 60);
  expect(await shredImage(image, { imageId, destroyKeys: [] })).toMatchObject({ keyFile: path, wasKept: true });
  expect(existsSync(path)).toBe(false);
  expect(existsSync(dirname(path))).toBe(true);
  const text = Buffer.alloc(64, 1);
  readSync(fd, text, 0, 64, 0);
  expect(text.every((byte) => byte === 0)).toBe(true);
});

test.each<[what: string, prepare: () => Partial<Parameters<typeof shredImage>[1]> | Promise<void>, code: string]>([
  ['another image', () => ({ imageId: '0'.repeat(32) }), 'wrong-image'],
  ['a key that no slot is for', () => ({ destroyKeys: [service().destroying] }), 'bad-argument'],
  ['a header with a second name', async () => linkSync(header, join(directory, `link-${Date.now()}`)), 'io'],
])('nothing is overwritten for %s', async (_what, prepare, code) => {
  const before = readFileSync(header);
  const other = await prepare();
  expect((await refusal(shredImage(image, { imageId, destroyKeys: [], ...other }))).code).toBe(code);
  expect(readFileSync(header)).toEqual(before);
});

test.each([header, `${header}.new`])('no key is destroyed where %s cannot be overwritten', async (path) => {
  const { recipient, destroying } = service();
  await addKeySlots(image, options, [recipient]);
  writeFileSync(`${header}.new`, '');
  linkSync(path, mkdtempSync(join(directory, 'second-')).concat('/name'));
  const defaultKey = createDefaultKey(Buffer.from(imageId, 'hex'));
  expect((await refusal(shredImage(image, { imageId, destroyKeys: [destroying] }))).code).toBe('io');
  expect(destroyDefaultKey(Buffer.from(imageId, 'hex'))).toBe(defaultKey);
  expect(await destroying.unwrap(readSlots().slots, Buffer.from(imageId, 'hex'))).toBeDefined();
});

test('no key is destroyed where another service cannot destroy its own', async () => {
  const { recipient, destroying } = service();
  await addKeySlots(image, options, [recipient]);
  const other = { source: 'other:8', unwrap: destroying.unwrap };
  const error = await refusal(shredImage(image, { imageId, destroyKeys: [destroying, other] }));
  expect(error.message).toBe('other:8: this kind of service destroys no keys');
  expect(await destroying.unwrap(readSlots().slots, Buffer.from(imageId, 'hex'))).toBeDefined();
});

test('a service that does not answer any more has not shown that its key is gone', async () => {
  const { recipient, destroying } = service();
  await addKeySlots(image, options, [recipient]);
  const before = readFileSync(header);
  const unwrap = async (): Promise<never> => {
    throw new CkptfsError('key-unavailable', 'service:7: no answer', { data: { reason: 'timeout' } });
  };
  const error = await refusal(shredImage(image, { imageId, destroyKeys: [{ ...destroying, unwrap }] }));
  expect(error.data).toEqual({ reason: 'timeout' });
  expect(readFileSync(header)).toEqual(before);
});

test('a service that still opens a slot is not believed', async () => {
  const { recipient, destroying } = service(true);
  await addKeySlots(image, options, [recipient]);
  const before = readFileSync(header);
  const error = await refusal(shredImage(image, { imageId, destroyKeys: [destroying] }));
  expect([error.code, error.data]).toEqual(['key-unavailable', { reason: 'garbage' }]);
  expect(readFileSync(header)).toEqual(before);
});

test.each<[what: string, step: 'sync' | 'rename', isOverwritten: boolean, otherId: string]>([
  ['before the header is overwritten', 'sync', false, 'wrong-image'],
  ['after it was', 'rename', true, 'not-an-image'],
])('what an interruption leaves %s, the same call ends', async (_what, step, isOverwritten, otherId) => {
  const path = createDefaultKey(Buffer.from(imageId, 'hex'));
  const failing = vi.spyOn(Directory.prototype, step).mockImplementationOnce(() => {
    throw Object.assign(new Error('EIO'), { code: 'EIO' });
  });
  expect((await refusal(shredImage(image, { imageId, destroyKeys: [] }))).code).toBe('io');
  failing.mockRestore();
  expect(existsSync(path)).toBe(false);
  expect(readFileSync(header).every((byte) => byte === 0)).toBe(isOverwritten);
  expect((await refusal(shredImage(image, { imageId: '0'.repeat(32), destroyKeys: [] }))).code).toBe(otherId);
  const destroyKeys = isOverwritten ? [service().destroying] : [];
  expect(await shredImage(image, { imageId, destroyKeys })).toMatchObject({ imageId, destroyedKeys: [] });
  expect(await reasonOfOpening()).toEqual(['not-an-image', { reason: 'shredded' }]);
});

test('a draft of any size is overwritten but for its holes', async () => {
  writeFileSync(`${header}.new`, 'slots');
  truncateSync(`${header}.new`, 2 ** 42);
  const fd = openSync(`${header}.new`, 'r');
  await shredImage(image, { imageId, destroyKeys: [] });
  expect(fstatSync(fd).blocks).toBeLessThan(100);
  const there = Buffer.alloc(5, 1);
  readSync(fd, there, 0, 5, 0);
  expect(there).toEqual(Buffer.alloc(5));
});

test('what a re-encryption left beside the image is to be shredded first', async () => {
  cpSync(image, `${image}.reencrypt`, { recursive: true });
  const error = await refusal(shredImage(image, { imageId, destroyKeys: [] }));
  expect([error.code, error.data]).toEqual(['exists', { reason: 're-encryption' }]);
  await shredImage(`${image}.reencrypt`, { imageId, destroyKeys: [] });
  rmSync(`${image}.reencrypt`, { recursive: true });
});

test('a key that is shared by mounts is dropped as well', async () => {
  const dropped: string[] = [];
  const dropShared = (id: string): boolean => dropped.push(id) > 0;
  expect((await shredImage(image, { imageId, destroyKeys: [], dropShared })).wasKept).toBe(true);
  expect(dropped).toEqual([imageId]);
});

test('an image that is read or written is not shredded', async () => {
  const store = openWritableStore(image);
  const lock = store.lockForReading();
  expect((await refusal(shredImage(image, { imageId, destroyKeys: [] }))).code).toBe('locked');
  lock.release();
  store.close();
});
