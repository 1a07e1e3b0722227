// Goal: private keys that ssh-keygen writes are read, with and without a passphrase, and hostile files cost little.
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { KeyProblem } from '../../../../src/crypto/key-problem.ts';
import type { PrivateKey } from '../../../../src/crypto/private-key.ts';
import { verifySignature } from '../../../../src/crypto/public-key.ts';
import { Secret } from '../../../../src/crypto/secret.ts';
import { openOpenSshKey, publicKeyOfOpenSsh, readOpenSshKey } from '../../../../src/keys/ssh/private-key.ts';
import { readSshKeyLine } from '../../../../src/keys/ssh/public-key-line.ts';
import { SshKeyDirectory, wireString } from './made-ssh-keys.ts';

const directory = new SshKeyDirectory();
afterAll(() => directory.remove());

const PASSPHRASE = 'pässword with spaces';
const kinds: [name: string, options: string][] = [
  ['ed25519', '-t ed25519'],
  ['rsa', '-t rsa -b 2048'],
  ['p256', '-t ecdsa -b 256'],
  ['p384', '-t ecdsa -b 384'],
  ['p521', '-t ecdsa -b 521'],
];
const ciphers = [
  'aes128-ctr',
  'aes192-ctr',
  'aes256-ctr',
  'aes256-cbc',
  'aes128-gcm@openssh.com',
  'aes256-gcm@openssh.com',
];

beforeAll(() => {
  for (const [name, options] of kinds) {
    directory.make(name, options);
    directory.make(`${name}-protected`, options, PASSPHRASE);
  }
  for (const cipher of [...ciphers, 'chacha20-poly1305@openssh.com']) {
    directory.make(cipher, `-t ed25519 -Z ${cipher}`, PASSPHRASE);
  }
  directory.make('small', '-t rsa -b 1024');
  directory.makeHostKeys();
});

function publicOf(name: string) {
  return readSshKeyLine(readFileSync(directory.file(`${name}.pub`), 'utf8')).jwk;
}

const passphrase = (text: string): Secret => Secret.copy(Buffer.from(text));
const open = (name: string, text = PASSPHRASE): Promise<PrivateKey> =>
  openOpenSshKey(directory.read(name), passphrase(text));

function problem(read: () => unknown): KeyProblem {
  try {
    read();
  } catch (error) {
    if (error instanceof KeyProblem) return error;
    throw error;
  }
  throw new Error('it was read');
}

/** Shows that a key is whole: it signs for its public key, or agrees with another key. */
function use(key: PrivateKey): void {
  const { publicJwk } = key;
  const data = Buffer.from('data');
  if (publicJwk.kty === 'RSA') {
    expect(verifySignature(publicJwk, 'PS256', data, key.sign('PS256', data))).toBe(true);
  } else if (publicJwk.crv === 'Ed25519') {
    expect(verifySignature(publicJwk, 'EdDSA', data, key.sign('EdDSA', data))).toBe(true);
  } else {
    expect(key.agree(publicJwk)).toBeDefined();
  }
  key.dispose();
}

describe.each(kinds)('%s', (name) => {
  test('without a passphrase', async () => {
    const key = readOpenSshKey(directory.read(name));
    expect(key.publicJwk).toEqual(publicOf(name));
    use(key);
    use(await open(name, 'not needed'));
  });

  test('with a passphrase shows its public key, and opens', async () => {
    const file = `${name}-protected`;
    expect(publicKeyOfOpenSsh(directory.read(file))).toEqual(publicOf(file));
    expect(problem(() => readOpenSshKey(directory.read(file))).reason).toBe('passphrase-needed');
    const key = await open(file);
    expect(key.publicJwk).toEqual(publicOf(file));
    use(key);
    await expect(open(file, 'wrong')).rejects.toMatchObject({ name: 'KeyProblem', reason: 'wrong-passphrase' });
  });
});

test.each(ciphers)('encrypted by %s', async (cipher) => {
  const key = await open(cipher);
  expect(key.publicJwk).toEqual(publicOf(cipher));
  key.dispose();
  await expect(open(cipher, 'wrong')).rejects.toMatchObject({ reason: 'wrong-passphrase' });
});

test('what is not used says why', async () => {
  await expect(open('chacha20-poly1305@openssh.com')).rejects.toMatchObject({
    reason: 'unsupported',
    message: expect.stringMatching(/^is encrypted by chacha20-poly1305@openssh.com and bcrypt; AES/),
  });
  expect(problem(() => readOpenSshKey(directory.read('small'))).message).toMatch(/^is an RSA key of 1024 bits/);
});

test('keys of a host, as ssh-keygen -A makes them, are read', () => {
  for (const name of ['ed25519', 'rsa', 'ecdsa'].map((kind) => `etc/ssh/ssh_host_${kind}_key`)) {
    const key = readOpenSshKey(directory.read(name));
    expect(key.publicJwk).toEqual(publicOf(name));
    key.dispose();
  }
});

/** Makes a file of the format with a block of base64. */
function armored(bytes: Buffer): Buffer {
  const lines = bytes.toString('base64').replace(/.{70}/g, '$&\n');
  return Buffer.from(`-----BEGIN OPENSSH PRIVATE KEY-----\n${lines}\n-----END OPENSSH PRIVATE KEY-----\n`);
}

function dearmored(name: string): Buffer {
  const text = directory.read(name).toString();
  return Buffer.from(text.replace(/-----.*-----/g, ''), 'base64');
}

test('more rounds of bcrypt than are computed are refused before the first', async () => {
  const bytes = dearmored('ed25519-protected');
  const at = bytes.indexOf('bcrypt') + 'bcrypt'.length + 4 + 4 + 16;
  expect(bytes.readUInt32BE(at)).toBe(2);
  for (const [rounds, reason] of [
    [0xffffffff, 'unsupported'],
    [513, 'unsupported'],
    [0, 'not-a-key'],
  ] as const) {
    bytes.writeUInt32BE(rounds, at);
    await expect(openOpenSshKey(armored(bytes), passphrase(PASSPHRASE))).rejects.toMatchObject({ reason });
  }
});

test('a private key beside the public key of another is refused', () => {
  const [own, other] = [dearmored('p256'), dearmored('p384')];
  const publicBlob = (name: string): Buffer =>
    wireString(Buffer.from(readFileSync(directory.file(`${name}.pub`), 'utf8').split(' ')[1] ?? '', 'base64'));
  const at = own.indexOf(publicBlob('p256'));
  expect([at, other.indexOf(publicBlob('p384'))]).toEqual([39, 39]);
  const mixed = Buffer.concat([own.subarray(0, at), publicBlob('p384'), own.subarray(at + publicBlob('p256').length)]);
  expect(problem(() => readOpenSshKey(armored(mixed))).message).toBe(
    'holds a private key with the public key of another',
  );
});

test('damage anywhere is a problem that says so, or changes nothing', () => {
  for (const name of ['ed25519', 'p256']) {
    const bytes = dearmored(name);
    for (let length = 0; length < bytes.length; length += 7) {
      expect(problem(() => readOpenSshKey(armored(bytes.subarray(0, length)))).reason).toBe('not-a-key');
    }
    fc.assert(
      fc.property(fc.nat({ max: bytes.length - 1 }), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const changed = Buffer.from(bytes);
        changed[at] = (changed[at] ?? 0) ^ change;
        try {
          const key = readOpenSshKey(armored(changed));
          expect(key.publicJwk).toEqual(publicOf(name));
          key.dispose();
        } catch (error) {
          expect(error).toBeInstanceOf(KeyProblem);
        }
      }),
      { numRuns: 150 },
    );
  }
});
