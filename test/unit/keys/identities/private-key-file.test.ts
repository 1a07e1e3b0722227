import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Secret } from '../../../../src/crypto/secret.ts';
import type { Slot } from '../../../../src/format/slot.ts';
import { PrivateKeyFile } from '../../../../src/keys/identities/private-key-file.ts';
import { readRecipientFile } from '../../../../src/keys/recipients/pem.ts';
import { symmetricKeyProvider } from '../../../../src/keys/symmetric-key.ts';
import { KeyDirectory } from '../../crypto/made-keys.ts';

const directory = new KeyDirectory();
afterAll(() => directory.remove());

const imageId = Buffer.alloc(16, 0x1d);
const imageKey = Secret.random(32);
let slots: { own: Slot; foreign: Slot; symmetric: Slot };

beforeAll(async () => {
  for (const name of ['own', 'foreign']) {
    directory.openssl(`genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ${name}.pem`);
    directory.openssl(`pkey -in ${name}.pem -pubout -out ${name}.pub`);
  }
  directory.openssl('pkcs8 -topk8 -in own.pem -passout pass:secret -out protected.pem');
  directory.openssl('pkcs12 -export -nocerts -inkey own.pem -passout pass:secret -out own.p12');
  directory.openssl('genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024 -out small.pem');
  const make = async (name: string) => readRecipientFile(directory.file(name)).wrap(imageKey, imageId);
  slots = {
    own: await make('own.pub'),
    foreign: await make('foreign.pub'),
    symmetric: await symmetricKeyProvider(Secret.random(32)).wrap(imageKey, imageId),
  };
});

/** Counts how often it is asked. */
function passphrase(text: string) {
  const asked = {
    times: 0,
    read: async () => {
      asked.times++;
      return Secret.copy(Buffer.from(text));
    },
  };
  return asked;
}

test.each(['own.pem', 'protected.pem', 'own.p12'])('%s opens its slot, and says which', async (file) => {
  const identity = PrivateKeyFile.read(directory.file(file), passphrase('secret').read);
  expect(identity.source).toBe(`private key ${directory.file(file)}`);
  for (let i = 0; i < 2; i++) {
    const opened = await identity.unwrap([slots.symmetric, slots.foreign, slots.own], imageId);
    expect(opened?.slot).toBe(2);
    expect(Buffer.from(opened?.imageKey.bytes ?? [])).toEqual(Buffer.from(imageKey.bytes));
  }
  expect(await identity.unwrap([slots.symmetric, slots.foreign], imageId)).toBeUndefined();
  expect(await identity.unwrap([slots.own], Buffer.alloc(16))).toBeUndefined();
  identity.dispose();
});

test('a passphrase is asked for once, and only when the image has a slot for a public key', async () => {
  const asked = passphrase('secret');
  const identity = PrivateKeyFile.read(directory.file('protected.pem'), asked.read);
  expect(await identity.unwrap([slots.symmetric], imageId)).toBeUndefined();
  expect(await identity.unwrap([], imageId)).toBeUndefined();
  expect([asked.times, identity.keyId]).toEqual([0, undefined]);
  for (let i = 0; i < 3; i++) expect(await identity.unwrap([slots.own], imageId)).toBeDefined();
  expect(asked.times).toBe(1);
  expect(identity.keyId).toHaveLength(43);
  identity.dispose();
});

test('without a passphrase, and with a wrong one', async () => {
  const path = directory.file('protected.pem');
  const open = async (read?: () => Promise<Secret>) => PrivateKeyFile.read(path, read).unwrap([slots.own], imageId);
  await expect(open()).rejects.toMatchObject({
    code: 'bad-key-file',
    message: `private key ${path} is protected by a passphrase, and none was given`,
    data: { reason: 'passphrase-needed' },
  });
  await expect(open(passphrase('wrong').read)).rejects.toMatchObject({
    code: 'bad-key-file',
    message: `private key ${path} does not open with the given passphrase`,
    data: { reason: 'wrong-passphrase' },
  });
});

test('a damaged slot that names the key is an error, which says which', async () => {
  const identity = PrivateKeyFile.read(directory.file('own.pem'));
  const damaged = { ...slots.own, tag: slots.foreign.tag };
  const opening = identity.unwrap([slots.symmetric, damaged], imageId);
  await expect(opening).rejects.toMatchObject({
    code: 'damaged',
    message: `key slot 2 of 2 is for ${identity.source}, but does not open with it: it is damaged or forged`,
  });
  identity.dispose();
});

test('files that are no private key say so at once', async () => {
  writeFileSync(directory.file('text'), 'hello');
  writeFileSync(directory.file('cut.pem'), readFileSync(directory.file('own.pem')).subarray(0, 100));
  const reasons = { text: 'not-a-private-key', 'cut.pem': 'not-a-private-key', 'own.pub': 'not-a-private-key' };
  for (const [file, reason] of Object.entries({ ...reasons, 'small.pem': 'unsupported', absent: 'missing' })) {
    await expect(async () => PrivateKeyFile.read(directory.file(file))).rejects.toMatchObject({
      code: 'bad-key-file',
      data: { reason },
    });
  }
});

test('a key file that others can read is warned of', () => {
  expect(PrivateKeyFile.read(directory.file('own.pem')).warning).toBeUndefined();
  chmodSync(directory.file('foreign.pem'), 0o644);
  expect(PrivateKeyFile.read(directory.file('foreign.pem')).warning).toMatchObject({ reason: 'mode' });
});

test('an identity that was disposed of opens nothing', async () => {
  for (const file of ['own.pem', 'protected.pem']) {
    const identity = PrivateKeyFile.read(directory.file(file), passphrase('secret').read);
    identity.dispose();
    identity.dispose();
    await expect(identity.unwrap([slots.own], imageId)).rejects.toMatchObject({ code: 'internal' });
  }
});
