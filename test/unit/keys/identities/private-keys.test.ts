// Goal: private keys of SSH and age open slots through the same files and directories as all others.
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Secret } from '../../../../src/crypto/secret.ts';
import type { Slot } from '../../../../src/format/slot.ts';
import { findKeyFiles } from '../../../../src/keys/identities/find-key-files.ts';
import { keyDirectory } from '../../../../src/keys/identities/key-directory.ts';
import { PrivateKeyFile } from '../../../../src/keys/identities/private-key-file.ts';
import { readRecipients } from '../../../../src/keys/recipients/read-recipients.ts';
import { SshKeyDirectory } from '../ssh/made-ssh-keys.ts';

const directory = new SshKeyDirectory();
afterAll(() => directory.remove());

const imageId = Buffer.alloc(16, 0x1d);
const imageKey = Secret.random(32);
const PASSPHRASE = 'secret';
let recipients: Record<'plain' | 'protected' | 'pem' | 'one' | 'two' | 'host', string>;

beforeAll(() => {
  directory.make('plain', '-t ed25519');
  directory.make('protected', '-t ed25519', PASSPHRASE);
  directory.make('pem', '-t ecdsa -b 256 -m PEM', PASSPHRASE);
  directory.makeHostKeys();
  const [one, two] = [directory.makeAge('one.txt'), directory.makeAge('two.txt')];
  const text = (name: string): string => readFileSync(directory.file(name), 'utf8').trim();
  writeFileSync(directory.file('both.txt'), `${text('one.txt')}\n\n${text('two.txt')}\n`);
  const host = text('etc/ssh/ssh_host_ed25519_key.pub');
  recipients = { plain: text('plain.pub'), protected: text('protected.pub'), pem: text('pem.pub'), one, two, host };
});

async function slotFor(name: keyof typeof recipients): Promise<Slot> {
  const [recipient] = await readRecipients(recipients[name]);
  if (recipient === undefined) throw new Error('no recipient');
  return recipient.wrap(imageKey, imageId);
}

/** Counts how often it is asked. */
function passphrase(text = PASSPHRASE) {
  const asked = {
    times: 0,
    read: async () => {
      asked.times++;
      return Secret.copy(Buffer.from(text));
    },
  };
  return asked;
}

test('a protected key of OpenSSH asks for its passphrase only when a slot is for it', async () => {
  const asked = passphrase();
  const identity = PrivateKeyFile.read(directory.file('protected'), asked.read);
  expect(await identity.unwrap([await slotFor('plain'), await slotFor('one')], imageId)).toBeUndefined();
  expect([asked.times, identity.keyId?.length]).toEqual([0, 43]);
  for (let i = 0; i < 2; i++) {
    expect(await identity.unwrap([await slotFor('plain'), await slotFor('protected')], imageId)).toMatchObject({
      slot: 1,
    });
  }
  expect(asked.times).toBe(1);
  identity.dispose();
});

test('without a passphrase, and with a wrong one', async () => {
  const path = directory.file('protected');
  const slot = await slotFor('protected');
  const open = (read?: () => Promise<Secret>) => PrivateKeyFile.read(path, read).unwrap([slot], imageId);
  await expect(open()).rejects.toMatchObject({ code: 'bad-key-file', data: { reason: 'passphrase-needed' } });
  await expect(open(passphrase('wrong').read)).rejects.toMatchObject({
    message: `private key ${path} does not open with the given passphrase`,
    data: { reason: 'wrong-passphrase' },
  });
});

test('each identity in a file of age opens its slots', async () => {
  const identity = PrivateKeyFile.read(directory.file('both.txt'));
  for (const name of ['one', 'two'] as const) {
    expect(await identity.unwrap([await slotFor('plain'), await slotFor(name)], imageId)).toMatchObject({ slot: 1 });
  }
  expect(await identity.unwrap([await slotFor('plain')], imageId)).toBeUndefined();
  identity.dispose();
  await expect(identity.unwrap([await slotFor('one')], imageId)).rejects.toMatchObject({ code: 'internal' });
});

test('a key of the host opens', async () => {
  const identity = PrivateKeyFile.read(directory.file('etc/ssh/ssh_host_ed25519_key'));
  expect(await identity.unwrap([await slotFor('host')], imageId)).toMatchObject({ slot: 0 });
  identity.dispose();
});

test('files in a directory are found by what they show: their own public part, a neighbour, an identity', async () => {
  const asked = passphrase();
  mkdirSync(directory.file('moved'));
  renameSync(directory.file('protected.pub'), directory.file('moved/protected.pub'));
  const found = { plain: 'plain', protected: 'protected', pem: 'pem', one: 'both.txt', two: 'both.txt' } as const;
  for (const [name, file] of Object.entries(found)) {
    const [recipient] = await readRecipients(recipients[name as keyof typeof found]);
    const files = [...findKeyFiles(directory.path, new Set([recipient?.keyId ?? '']))];
    expect(files).toContain(directory.file(file));
    const slot = await slotFor(name as keyof typeof found);
    const opened = await keyDirectory(directory.path, asked.read).unwrap([slot], imageId);
    expect(Buffer.from(opened?.imageKey.bytes ?? [])).toEqual(Buffer.from(imageKey.bytes));
  }
  expect(asked.times).toBe(2);
  expect(await keyDirectory(directory.path, asked.read).unwrap([await slotFor('host')], imageId)).toBeUndefined();
});
