// Goal: of a directory with hundreds of keys only one that a slot was made for is opened, and asks for a passphrase.
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Secret } from '../../../../src/crypto/secret.ts';
import type { Slot } from '../../../../src/format/slot.ts';
import { keyDirectory } from '../../../../src/keys/identities/key-directory.ts';
import type { KeyFileWarning } from '../../../../src/keys/key-file.ts';
import { type FileRecipient, readRecipientFile } from '../../../../src/keys/recipients/pem.ts';
import { symmetricKeyProvider } from '../../../../src/keys/symmetric-key.ts';
import { KeyDirectory } from '../../crypto/made-keys.ts';

const made = new KeyDirectory();
afterAll(() => made.remove());

const imageId = Buffer.alloc(16, 0x1d);
const imageKey = Secret.random(32);
let recipient: FileRecipient;
let slot: Slot;

beforeAll(async () => {
  for (const name of ['own', 'other']) {
    made.openssl(`genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ${name}.pem`);
    made.openssl(`pkey -in ${name}.pem -pubout -out ${name}.pub`);
    made.openssl(`req -x509 -new -key ${name}.pem -subj /CN=${name} -out ${name}.crt`);
    made.openssl(`pkcs8 -topk8 -in ${name}.pem -passout pass:secret -out ${name}.protected`);
    made.openssl(`pkcs12 -export -inkey ${name}.pem -in ${name}.crt -passout pass:secret -out ${name}.p12`);
  }
  made.openssl('genpkey -algorithm ED25519 -out ed.pem');
  made.openssl('pkey -in ed.pem -pubout -out ed.pub');
  made.openssl('pkcs8 -topk8 -in ed.pem -passout pass:secret -out ed.protected');
  recipient = readRecipientFile(made.file('own.pub'));
  slot = await recipient.wrap(imageKey, imageId);
});

/** Makes a directory with copies, by the name that each gets. */
function directoryOf(files: Readonly<Record<string, string>>): string {
  const path = mkdtempSync(join(made.path, 'keys-'));
  for (const [name, source] of Object.entries(files)) copyFileSync(made.file(source), join(path, name));
  return path;
}

/** Opens with a directory. Returns whether it opened, and for which files it asked for a passphrase. */
async function open(path: string, slots: readonly Slot[] = [slot], text = 'secret') {
  const asked: string[] = [];
  const identity = keyDirectory(path, async (file) => {
    asked.push(file.slice(path.length + 1));
    return Secret.copy(Buffer.from(text));
  });
  const opened = await identity.unwrap(slots, imageId);
  return { isOpened: opened !== undefined && Buffer.from(opened.imageKey.bytes).equals(imageKey.bytes), asked };
}

test('a key without a passphrase is found by itself', async () => {
  const path = directoryOf({ 'a.pem': 'other.pem', 'b.key': 'own.pem', 'c.protected': 'other.protected' });
  expect(await open(path)).toEqual({ isOpened: true, asked: [] });
});

describe('a key with a passphrase is found by', () => {
  test.each([
    ['a certificate beside it', { 'host.key': 'own.protected', 'host.crt': 'own.crt' }, 'host.key'],
    ['a public key beside it', { 'host.key': 'own.protected', 'host.pub': 'own.pub' }, 'host.key'],
    ['a public key of a longer name', { 'host.key': 'own.protected', 'host.key.pub': 'own.pub' }, 'host.key'],
    ['a public key beside a name without extension', { host: 'own.protected', 'host.pub': 'own.pub' }, 'host'],
    ['a certificate beside a PKCS#12 file', { 'host.p12': 'own.p12', 'host.pem': 'own.crt' }, 'host.p12'],
  ])('%s', async (_what, files, expected) => {
    const others = { 'x.key': 'other.protected', 'x.crt': 'other.crt', 'y.key': 'own.protected' };
    expect(await open(directoryOf({ ...others, ...files }))).toEqual({ isOpened: true, asked: [expected] });
  });

  test('a certificate in the same file, before one beside it', async () => {
    const path = directoryOf({ 'a.crt': 'other.crt', 'b.pem': 'other.protected' });
    const both = Buffer.concat([readFileSync(made.file('own.crt')), readFileSync(made.file('own.protected'))]);
    writeFileSync(join(path, 'a.pem'), both);
    expect(await open(path)).toEqual({ isOpened: true, asked: ['a.pem'] });
  });

  test('its name', async () => {
    const files = { [`${recipient.keyId}.pem`]: 'own.protected', [`${recipient.keyId}.crt`]: 'own.crt' };
    expect(await open(directoryOf(files))).toEqual({ isOpened: true, asked: [`${recipient.keyId}.pem`] });
  });

  test('an Ed25519 public key beside it', async () => {
    const forEd = await readRecipientFile(made.file('ed.pub')).wrap(imageKey, imageId);
    expect(await open(directoryOf({ 'a.pem': 'ed.protected', 'a.pub': 'ed.pub' }), [forEd])).toEqual({
      isOpened: true,
      asked: ['a.pem'],
    });
    expect(await open(directoryOf({ 'a.pem': 'ed.pem' }), [forEd])).toEqual({ isOpened: true, asked: [] });
  });
});

test('a key with a passphrase that nothing tells of, or that another slot is for, asks nothing', async () => {
  const files = { 'a.key': 'own.protected', 'b.key': 'other.protected', 'b.crt': 'other.crt', 'c.crt': 'own.crt' };
  expect(await open(directoryOf(files))).toEqual({ isOpened: false, asked: [] });
});

test('a wrong passphrase is an error that names the file', async () => {
  const path = directoryOf({ 'host.key': 'own.protected', 'host.crt': 'own.crt' });
  await expect(open(path, [slot], 'wrong')).rejects.toMatchObject({
    code: 'bad-key-file',
    path: join(path, 'host.key'),
    data: { reason: 'wrong-passphrase' },
  });
});

test('a name that lies leads to nothing, and the right key is found after it', async () => {
  const path = directoryOf({ [`${recipient.keyId}.pem`]: 'other.protected', 'z.pem': 'own.pem' });
  expect(await open(path)).toEqual({ isOpened: true, asked: [`${recipient.keyId}.pem`] });
});

test('what is no key is passed over: text, directories, pipes, links to nothing and in circles, large files', async () => {
  const path = directoryOf({ 'z.pem': 'own.pem' });
  mkdirSync(join(path, 'a.pem'));
  symlinkSync('absent', join(path, 'b.pem'));
  symlinkSync('circle', join(path, 'circle'));
  symlinkSync('x'.repeat(300), join(path, 'long'));
  writeFileSync(join(path, 'c.pem'), '-----BEGIN PRIVATE KEY-----\n');
  writeFileSync(join(path, 'd.pem'), Buffer.alloc(70_000, 0x30));
  writeFileSync(join(path, 'README'), 'keys\n');
  symlinkSync('/dev/zero', join(path, 'e.pem'));
  expect(await open(path)).toEqual({ isOpened: true, asked: [] });
  symlinkSync('z.pem', join(path, 'f.pem'));
  expect(await open(path)).toEqual({ isOpened: true, asked: [] });
});

test('a key that is used, and that other users can read, is told of once', async () => {
  const path = directoryOf({ 'a.pem': 'other.pem', 'b.pem': 'own.pem' });
  for (const name of ['a.pem', 'b.pem']) chmodSync(join(path, name), 0o644);
  const warnings: KeyFileWarning[] = [];
  const identity = keyDirectory(path, undefined, (warning) => warnings.push(warning));
  for (let i = 0; i < 2; i++) expect(await identity.unwrap([slot], imageId)).toBeDefined();
  expect(warnings).toMatchObject([{ reason: 'mode', path: join(path, 'b.pem') }]);
});

test('hundreds of keys, of which one fits', async () => {
  const path = directoryOf({});
  for (let i = 0; i < 300; i++) {
    copyFileSync(made.file(i % 2 === 0 ? 'other.pem' : 'other.protected'), join(path, `${i}.key`));
    copyFileSync(made.file('other.crt'), join(path, `${i}.crt`));
  }
  copyFileSync(made.file('own.protected'), join(path, 'mine.key'));
  copyFileSync(made.file('own.crt'), join(path, 'mine.crt'));
  expect(await open(path)).toEqual({ isOpened: true, asked: ['mine.key'] });
  expect(readdirSync(path)).toHaveLength(602);
});

test('an image without a slot for a public key looks at nothing', async () => {
  const symmetric = await symmetricKeyProvider(Secret.random(32)).wrap(imageKey, imageId);
  expect(await open('/absent', [symmetric])).toEqual({ isOpened: false, asked: [] });
});

test('a directory that is absent, no directory, or has too many files', async () => {
  await expect(open(made.file('absent'))).rejects.toMatchObject({ code: 'bad-key-file', data: { reason: 'missing' } });
  await expect(open(made.file('own.pem'))).rejects.toMatchObject({ data: { reason: 'unreadable' } });
  const path = directoryOf({});
  for (let i = 0; i < 4097; i++) writeFileSync(join(path, `${i}`), '');
  await expect(open(path)).rejects.toMatchObject({ data: { reason: 'too-large' } });
});
