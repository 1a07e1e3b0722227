// Goal: what a user names as a recipient becomes one that the right private key opens, and what is left out is told.
import { execFileSync } from 'node:child_process';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { bech32 } from '@scure/base';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CkptfsError } from '../../../../src/base/errors.ts';
import { Secret } from '../../../../src/crypto/secret.ts';
import { parseSlot } from '../../../../src/format/slot.ts';
import { PrivateKeyFile } from '../../../../src/keys/identities/private-key-file.ts';
import { readRecipients } from '../../../../src/keys/recipients/read-recipients.ts';
import { SshKeyDirectory, wireString } from '../ssh/made-ssh-keys.ts';

const directory = new SshKeyDirectory();
afterAll(() => directory.remove());

const imageId = Buffer.alloc(16, 0x1d);
const imageKey = Secret.random(32);
const kinds: [name: string, options: string][] = [
  ['ed25519', '-t ed25519'],
  ['rsa', '-t rsa -b 2048'],
  ['p256', '-t ecdsa -b 256'],
  ['p384', '-t ecdsa -b 384'],
  ['p521', '-t ecdsa -b 521'],
];
const HARDWARE = 'sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29t token';
let age: string;

beforeAll(() => {
  for (const [name, options] of kinds) directory.make(name, options);
  age = directory.makeAge('age.txt');
  const pem = execFileSync('openssl', ['genpkey', '-algorithm', 'X25519']);
  writeFileSync(directory.file('x.pem'), pem);
  writeFileSync(directory.file('x.pub'), execFileSync('openssl', ['pkey', '-pubout'], { input: pem }));
});

const text = (name: string): string => readFileSync(directory.file(name), 'utf8').trim();

/** Shows that the recipient's slots are opened by a private key file. */
async function expectOpens(recipient: Awaited<ReturnType<typeof readRecipients>>[number], file: string) {
  const slot = await recipient.wrap(imageKey, imageId);
  expect(parseSlot(JSON.parse(JSON.stringify(slot)))).toEqual(slot);
  const identity = PrivateKeyFile.read(directory.file(file));
  const opened = await identity.unwrap([slot], imageId);
  expect(Buffer.from(opened?.imageKey.bytes ?? [])).toEqual(Buffer.from(imageKey.bytes));
  expect(identity.keyId).toBe(recipient.keyId);
  opened?.imageKey.wipe();
  identity.dispose();
  return slot.header;
}

async function failure(given: string): Promise<CkptfsError> {
  try {
    await readRecipients(given);
  } catch (error) {
    if (error instanceof CkptfsError) return error;
    throw error;
  }
  throw new Error('it was read');
}

test.each(kinds)('%s, as text and as a file, describes its slot by its comment', async (name) => {
  for (const given of [text(`${name}.pub`), directory.file(`${name}.pub`)]) {
    const [recipient, ...more] = await readRecipients(given);
    if (recipient === undefined) throw new Error('no recipient');
    expect([more, recipient.certificates]).toEqual([[], []]);
    const header = await expectOpens(recipient, name);
    expect(header).toMatchObject({ kind: 'ssh', subject: `${name}@host` });
  }
});

test('age, as text and as a file', async () => {
  writeFileSync(directory.file('recipients.txt'), `# team\n${age}\n`);
  for (const given of [age, directory.file('recipients.txt')]) {
    const [recipient] = await readRecipients(given);
    if (recipient === undefined) throw new Error('no recipient');
    expect(await expectOpens(recipient, 'age.txt')).toMatchObject({ kind: 'age' });
  }
});

test('a public key in PEM, as text and as a file', async () => {
  for (const given of [text('x.pub'), directory.file('x.pub')]) {
    const [recipient] = await readRecipients(given);
    if (recipient === undefined) throw new Error('no recipient');
    expect(await expectOpens(recipient, 'x.pem')).toMatchObject({ kind: 'public-key' });
  }
});

test('every key of a list that can be used, once each; the others are named', async () => {
  const lines = [
    '# keys of alice',
    text('ed25519.pub'),
    '',
    HARDWARE,
    `no-pty,command="true # AAAA" ${text('p256.pub')}`,
    age,
    text('ed25519.pub'),
    'hello',
    `${text('rsa.pub')}\r`,
  ];
  writeFileSync(directory.file('list'), lines.join('\n'));
  const warnings: string[] = [];
  const path = directory.file('list');
  const recipients = await readRecipients(path, (message) => warnings.push(message));
  expect(recipients.map(({ source }) => source)).toEqual([
    `SSH key ${path}, line 2`,
    `SSH key ${path}, line 5`,
    `age key ${path}, line 6`,
    `SSH key ${path}, line 9`,
  ]);
  expect(warnings).toEqual([
    `line 4 of recipient ${path} is an SSH key that is bound to hardware, which only signs: it is left out`,
    `line 8 of recipient ${path} is no public key: it is left out`,
  ]);
});

test('a comment that a terminal would act on, or of any length, is shown as text', async () => {
  const line = `${text('ed25519.pub')}\u001b[2J\u202e${'x'.repeat(2000)}`;
  const [recipient] = await readRecipients(line);
  const slot = await recipient?.wrap(imageKey, imageId);
  expect(slot?.header?.subject).toMatch(/^ed25519@host\\x1b\[2J\\u\{202e\}x+…x+$/);
  expect(slot?.header?.subject).toHaveLength(512);
  expect(recipient?.source).not.toContain('\u001b');
});

test('what gives no recipient says why', async () => {
  expect(await failure(HARDWARE)).toMatchObject({
    code: 'bad-key-file',
    message: expect.stringMatching(/^recipient "sk-ssh-ed25519@.*" is an SSH key that is bound to hardware/),
    data: { reason: 'unsupported' },
  });
  writeFileSync(directory.file('tokens'), `${HARDWARE}\n`.repeat(5));
  expect(await failure(directory.file('tokens'))).toMatchObject({
    message: expect.stringMatching(/holds no key that can be used: line 1 is an .*, and so on for 5 lines$/),
    data: { reason: 'unsupported' },
  });
  expect(await failure(`${age}q`)).toMatchObject({ data: { reason: 'not-a-recipient' } });
  expect(await failure(directory.file('absent'))).toMatchObject({ data: { reason: 'missing' } });
  writeFileSync(directory.file('hex'), 'ab'.repeat(32));
  expect(await failure(directory.file('hex'))).toMatchObject({ data: { reason: 'not-a-recipient' } });
});

test('keys of X25519 and Ed25519 that no private key has are refused before an image is made', async () => {
  const little = (number: bigint): Buffer => Buffer.from(number.toString(16).padStart(64, '0'), 'hex').reverse();
  const p = 2n ** 255n - 19n;
  const ages = [0n, 1n, p - 1n, p, p + 9n, 2n ** 255n + 9n].map((u) =>
    bech32.encode('age', bech32.toWords(little(u)), false),
  );
  const ssh = [1n, p - 1n, p].map((y) => `ssh-ed25519 ${wireString('ssh-ed25519', little(y)).toString('base64')} me`);
  for (const given of [...ages, ...ssh])
    expect(await failure(given)).toMatchObject({ data: { reason: 'unsupported' } });
});

test('a private key is refused, and never repeated', async () => {
  const secret = text('age.txt').split('\n').at(-1) ?? '';
  for (const given of [secret, text('ed25519'), ` ${secret}\n`]) {
    const error = await failure(given);
    expect(error.message).toBe('a recipient is the text of a private key, which only opens images');
    expect(JSON.stringify(error)).not.toContain(secret);
  }
  for (const file of ['age.txt', 'ed25519']) {
    const error = await failure(directory.file(file));
    expect(error).toMatchObject({ data: { reason: 'not-a-recipient' } });
    expect(error.message).not.toContain('SECRET');
  }
});

test('a path that begins like a key is a path', async () => {
  copyFileSync(directory.file('ed25519.pub'), directory.file('ssh-ed25519 key.pub'));
  expect(await readRecipients(directory.file('ssh-ed25519 key.pub'))).toHaveLength(1);
});
