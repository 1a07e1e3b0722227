// Goal: recipients and identities of age are read as age-keygen writes them, and what is not used says why.

import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { bech32 } from '@scure/base';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { KeyProblem } from '../../../../src/crypto/key-problem.ts';
import { isAgeIdentityFile, readAgeIdentities } from '../../../../src/keys/age/identity-file.ts';
import { isAgeRecipient, readAgeRecipient } from '../../../../src/keys/age/recipient.ts';
import { SshKeyDirectory } from '../ssh/made-ssh-keys.ts';

const directory = new SshKeyDirectory();
afterAll(() => directory.remove());

const recipients: string[] = [];
const ALICE = {
  secret: '77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a',
  public: '8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a',
};

beforeAll(() => {
  for (const name of ['one', 'two']) recipients.push(directory.makeAge(name));
  const text = (name: string): string => readFileSync(directory.file(name), 'utf8');
  writeFileSync(directory.file('both'), `# both\n\n${text('one')}\r\n  \t${text('two').trim().split('\n').at(-1)}  `);
});

function problem(read: () => unknown): KeyProblem {
  try {
    read();
  } catch (error) {
    if (error instanceof KeyProblem) return error;
    throw error;
  }
  throw new Error('it was read');
}

test('identities are the private keys of their recipients, as age-keygen -y says', () => {
  for (const [file, count] of [
    ['one', 1],
    ['both', 2],
  ] as const) {
    const contents = directory.read(file);
    expect(isAgeIdentityFile(contents)).toBe(true);
    const keys = readAgeIdentities(contents);
    expect(keys.map(({ publicJwk }) => publicJwk)).toEqual(recipients.slice(0, count).map(readAgeRecipient));
    for (const key of keys) key.dispose();
  }
});

test('the key of RFC 7748 §6.1', () => {
  const secret = Buffer.from(ALICE.secret, 'hex');
  const text = bech32.encode('age-secret-key-', bech32.toWords(secret), false).toUpperCase();
  const [key] = readAgeIdentities(Buffer.from(text));
  expect(key?.publicJwk).toMatchObject({ x: Buffer.from(ALICE.public, 'hex').toString('base64url') });
  key?.dispose();
});

test('one damaged identity spoils the file, and is not repeated', () => {
  const secret = readFileSync(directory.file('one'), 'utf8').trim().split('\n').at(-1) ?? '';
  for (const bad of [secret.slice(0, -1), secret.toLowerCase(), `${secret} x`, 'AGE-SECRET-KEY-1', 'hello']) {
    writeFileSync(directory.file('bad'), readFileSync(directory.file('one')));
    appendFileSync(directory.file('bad'), `${bad}\n`);
    expect(problem(() => readAgeIdentities(directory.read('bad')))).toMatchObject({
      reason: 'not-a-key',
      message: 'holds a damaged identity of age',
    });
  }
});

test('what is not used says why', () => {
  const read = (text: string) => {
    expect(isAgeIdentityFile(Buffer.from(text))).toBe(true);
    return problem(() => readAgeIdentities(Buffer.from(text))).message;
  };
  expect(read('# c\nAGE-PLUGIN-YUBIKEY-1QQQ\n')).toMatch(/^holds an identity of a plugin of age/);
  for (const text of ['age-encryption.org/v1\n-> scrypt', '-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n']) {
    expect(read(text)).toMatch(/^is encrypted by age/);
  }
  const key = `${readFileSync(directory.file('one'), 'utf8').trim().split('\n').at(-1)}\n`;
  expect(read(key.repeat(65))).toBe('holds more than 64 identities of age');
  expect(isAgeIdentityFile(Buffer.from('hello'))).toBe(false);
  expect(isAgeIdentityFile(Buffer.from(''))).toBe(false);
});

test('recipients that are no X25519 keys', () => {
  const [first = ''] = recipients;
  const encode = (prefix: string, size: number): string =>
    bech32.encode(prefix, bech32.toWords(new Uint8Array(size)), false);
  expect(isAgeRecipient(first)).toBe(true);
  for (const plugin of ['yubikey', 'se', 'tpm']) {
    const text = encode(`age1${plugin}`, 33);
    expect(isAgeRecipient(text)).toBe(true);
    expect(problem(() => readAgeRecipient(text))).toMatchObject({
      reason: 'unsupported',
      message: `is a recipient of age by the plugin ${plugin}; X25519 keys are used`,
    });
  }
  for (const size of [31, 33, 1216])
    expect(problem(() => readAgeRecipient(encode('age', size))).reason).toBe('unsupported');
  const damaged = problem(() => readAgeRecipient(`${first.slice(0, -1)}${first.endsWith('q') ? 'p' : 'q'}`));
  expect(damaged).toMatchObject({ reason: 'not-a-key', message: 'holds a damaged recipient of age' });
  for (const text of ['age1', 'age1 x', first.toUpperCase(), `${first}/x`, 'agenda'])
    expect(isAgeRecipient(text)).toBe(false);
});
