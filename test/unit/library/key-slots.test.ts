import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import type { CkptfsError } from '../../../src/base/errors.ts';
import { Secret } from '../../../src/crypto/secret.ts';
import { type Slot, slotParameters } from '../../../src/format/slot.ts';
import { checkSlots } from '../../../src/image/create/new-header.ts';
import { readKeyFile } from '../../../src/keys/key-file.ts';
import type { Recipient } from '../../../src/keys/provider.ts';
import { symmetricKeyProvider } from '../../../src/keys/symmetric-key.ts';
import { EncryptedImage } from '../../../src/library/encrypted-image.ts';
import {
  addKeySlots,
  labelKeySlot,
  listKeySlots,
  removeKeySlot,
  replaceKeySlot,
  slotsFor,
} from '../../../src/library/key-slots.ts';
import { openWritableStore } from '../../../src/stores/open-store.ts';
import { frozenRoot, keyFile } from '../../support/frozen-images.ts';

const directory = mkdtempSync(join(tmpdir(), 'ckptfs-slots-'));
const image = join(directory, 'enc');
const { key } = readKeyFile(keyFile());
const options = { keys: [symmetricKeyProvider(key)] };
const another = symmetricKeyProvider(Secret.random(32), 'another key', { kind: 'key', label: 'another' });

/** Recipients that make slots as passphrases do, without the time of the iterations. */
function passphrases(count: number): Recipient[] {
  const wrap = async (imageKey: Secret, imageId: Buffer): Promise<Slot> => {
    const slot = await another.wrap(imageKey, imageId);
    const parameters = { ...Object.fromEntries(slotParameters(slot) ?? []), alg: 'PBES2-HS512+A256KW', p2c: 600_000 };
    return { ...slot, protected: Buffer.from(JSON.stringify(parameters)).toString('base64url') };
  };
  return new Array<Recipient>(count).fill({ source: 'a passphrase', wrap });
}

beforeEach(() => {
  rmSync(image, { recursive: true, force: true });
  cpSync(join(frozenRoot, 'aes-256-xts', 'image'), image, { recursive: true });
});
afterAll(() => rmSync(directory, { recursive: true }));

const slotsOnDisk = (): unknown[] => JSON.parse(readFileSync(join(image, 'ckptfs.json'), 'utf8')).slots;

test('keys are tried on one slot alone, if it is named, which keeps its number', async () => {
  const { slots } = await addKeySlots(image, options, [another]);
  const number = slots.length;
  const openings: (number | undefined)[] = [];
  const openWith = async (keySlot: string): Promise<string> => {
    const onOpening = ({ slot }: { readonly slot?: number | undefined }) => openings.push(slot);
    try {
      (await EncryptedImage.open(image, { keys: [another], keySlot, onOpening })).close();
      return 'open';
    } catch (error) {
      return (error as CkptfsError).code;
    }
  };
  expect(await openWith(`${number}`)).toBe('open');
  expect(await openWith('another')).toBe('open');
  expect(await openWith('1')).toBe('wrong-key');
  expect(await openWith(`${number + 1}`)).toBe('bad-argument');
  expect(openings).toEqual([number - 1, number - 1, undefined, undefined]);
});

async function opens(provider: typeof another): Promise<boolean> {
  try {
    (await EncryptedImage.open(image, { keys: [provider] })).close();
    return true;
  } catch (error) {
    expect((error as CkptfsError).code).toBe('wrong-key');
    return false;
  }
}

async function failure(work: Promise<unknown>): Promise<{ code: string; message: string }> {
  const error = (await work.then(
    () => undefined,
    (reason: unknown) => reason,
  )) as CkptfsError;
  return { code: error.code, message: error.message };
}

test('a slot is added, and the others stay as they are, byte for byte', async () => {
  const before = slotsOnDisk();
  const { slots } = await addKeySlots(image, options, [another]);
  expect(slots).toHaveLength(4);
  expect(slots[3]).toMatchObject({ slot: 4, algorithm: 'A256KW', kind: 'key', label: 'another' });
  expect(slotsOnDisk().slice(0, 3)).toEqual(before);
  expect(await opens(another)).toBe(true);
  expect(await opens(options.keys[0] as typeof another)).toBe(true);
  expect(listKeySlots(image).slots).toEqual(slots);
});

test('a slot is removed by number and by label, and its key opens no more', async () => {
  await addKeySlots(image, options, [another]);
  expect((await removeKeySlot(image, options, 'another')).slots).toHaveLength(3);
  expect(await opens(another)).toBe(false);
  const before = slotsOnDisk();
  await removeKeySlot(image, options, '1');
  expect(slotsOnDisk()).toEqual(before.slice(1));
});

test('a slot is replaced at its place', async () => {
  const before = slotsOnDisk();
  await replaceKeySlot(image, options, '1', [another]);
  const after = slotsOnDisk();
  expect(after.slice(1)).toEqual(before.slice(1));
  expect(after).toHaveLength(3);
  expect(await opens(another)).toBe(true);
});

test('a label is given, changed and taken away without the key of its slot', async () => {
  const { slots } = await labelKeySlot(image, options, '1', 'night shift');
  expect(slots[0]).toMatchObject({ label: 'night shift' });
  expect((await labelKeySlot(image, options, 'night shift', 'Tag')).slots[0]).toMatchObject({ label: 'Tag' });
  const before = readFileSync(join(image, 'ckptfs.json'));
  await labelKeySlot(image, options, '2', 'x');
  await labelKeySlot(image, options, 'x', '');
  expect(readFileSync(join(image, 'ckptfs.json'))).toEqual(before);
});

describe('a change is refused', () => {
  test.each([
    ['a number that no slot has', () => removeKeySlot(image, options, '4'), '4 is no slot of this image'],
    ['zero', () => removeKeySlot(image, options, '0'), '0 is no slot of this image'],
    ['a label that is not there', () => removeKeySlot(image, options, 'x'), 'x is no slot of this image'],
    ['a label with a line feed', () => labelKeySlot(image, options, '1', 'a\nb'), 'a label is one line'],
    [
      'a 65th slot',
      () =>
        addKeySlots(
          image,
          options,
          Array.from({ length: 62 }, () => another),
        ),
      'has 3 key slots; there can be 64',
    ],
  ])('%s', async (_what, change, message) => {
    const before = readFileSync(join(image, 'ckptfs.json'));
    expect(await failure(change())).toEqual({ code: 'bad-argument', message: expect.stringContaining(message) });
    expect(readFileSync(join(image, 'ckptfs.json'))).toEqual(before);
    expect(readdirSync(image).sort()).toEqual(['ckptfs.json', 'manifest', 'objects']);
  });

  test('of a label that two slots have', async () => {
    await addKeySlots(image, options, [another, another]);
    expect(await failure(removeKeySlot(image, options, 'another'))).toMatchObject({
      code: 'bad-argument',
      message: 'another names 2 slots of this image',
    });
  });

  test('of a label that is the number of another slot', async () => {
    await labelKeySlot(image, options, '3', '1');
    expect(await failure(removeKeySlot(image, options, '1'))).toMatchObject({
      code: 'bad-argument',
      message: '1 names 2 slots of this image',
    });
  });

  test('of a 14th passphrase, which no reader would try', async () => {
    expect((await addKeySlots(image, options, passphrases(13))).slots).toHaveLength(16);
    expect(await failure(addKeySlots(image, options, passphrases(1)))).toEqual({
      code: 'bad-argument',
      message: '14 passphrases: an image can have 13 like these',
    });
    expect(slotsOnDisk()).toHaveLength(16);
    // An image that has too many already can lose them one by one.
    const [slot] = await slotsFor(passphrases(1))(key, Buffer.alloc(16));
    const many = new Array<Slot>(15).fill(slot as Slot);
    expect(() => checkSlots(many.slice(1), 'default', many)).not.toThrow();
    expect(() => checkSlots(many.slice(1))).toThrow('14 passphrases');
  });

  test('of the last slot', async () => {
    await removeKeySlot(image, options, '1');
    await removeKeySlot(image, options, '1');
    expect(await failure(removeKeySlot(image, options, '1'))).toMatchObject({
      code: 'bad-argument',
      message: expect.stringContaining('without it nothing could open the image'),
    });
  });

  test('without a key that opens the image', async () => {
    expect(await failure(removeKeySlot(image, { keys: [another] }, '1'))).toMatchObject({ code: 'wrong-key' });
  });

  test('of a header that is not authentic, which the change would make so', async () => {
    const path = join(image, 'ckptfs.json');
    const text = readFileSync(path, 'utf8');
    writeFileSync(path, text.replace('"chunkSize": 16384', '"chunkSize": 8192'));
    expect(await failure(labelKeySlot(image, options, '1', 'x'))).toMatchObject({ code: 'damaged' });
  });

  test('while another process changes slots', async () => {
    const store = openWritableStore(image);
    const lock = store.lockHeader();
    const { code, message } = await failure(labelKeySlot(image, options, '1', 'x'));
    expect([code, message]).toEqual([
      'locked',
      `another process is changing the key slots or the signatures of ${image}`,
    ]);
    lock.release();
    store.close();
    await labelKeySlot(image, options, '1', 'x');
  });
});

test('slots are changed while the image is read', async () => {
  const opened = await EncryptedImage.open(image, options);
  await addKeySlots(image, options, [another]);
  const listed = opened.list();
  expect(listed.length).toBeGreaterThan(0);
  opened.close();
});

test('a lock on a header that was replaced does not count', () => {
  const store = openWritableStore(image);
  const lock = store.lockHeader();
  store.publish('ckptfs.json', readFileSync(join(image, 'ckptfs.json')));
  const again = store.lockHeader();
  lock.release();
  again.release();
  store.close();
});
