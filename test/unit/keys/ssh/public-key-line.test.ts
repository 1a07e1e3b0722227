// Goal: public keys of SSH are read as ssh-keygen writes them, whatever stands around them, and nothing else is.
import { execFileSync } from 'node:child_process';
import { createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { KeyProblem } from '../../../../src/crypto/key-problem.ts';
import { publicJwkOf } from '../../../../src/crypto/public-key.ts';
import { publicKeyOfBlob } from '../../../../src/keys/ssh/public-key-blob.ts';
import { isSshKeyLine, readSshKeyLine } from '../../../../src/keys/ssh/public-key-line.ts';
import { SshKeyDirectory, wireString } from './made-ssh-keys.ts';

const directory = new SshKeyDirectory();
afterAll(() => directory.remove());

const kinds: [name: string, options: string, type: string][] = [
  ['ed25519', '-t ed25519', 'ssh-ed25519'],
  ['rsa', '-t rsa -b 2048', 'ssh-rsa'],
  ['p256', '-t ecdsa -b 256', 'ecdsa-sha2-nistp256'],
  ['p384', '-t ecdsa -b 384', 'ecdsa-sha2-nistp384'],
  ['p521', '-t ecdsa -b 521', 'ecdsa-sha2-nistp521'],
];

beforeAll(() => {
  for (const [name, options] of kinds) directory.make(name, options);
  directory.make('small', '-t rsa -b 1024');
  directory.make('authority', '-t ed25519');
  const signing = ['-q', '-s', 'authority', '-I', 'id', '-h', 'ed25519.pub'];
  execFileSync('ssh-keygen', signing, { cwd: directory.path, stdio: 'pipe' });
});

function line(name: string): string {
  return readFileSync(directory.file(`${name}.pub`), 'utf8').trim();
}

function blobOf(name: string): Buffer {
  return Buffer.from(line(name).split(' ')[1] ?? '', 'base64');
}

function problem(read: () => unknown): KeyProblem {
  try {
    read();
  } catch (error) {
    if (error instanceof KeyProblem) return error;
    throw error;
  }
  throw new Error('it was read');
}

describe.each(kinds)('%s', (name, _options, type) => {
  test('is read with its comment, and is what openssl reads', () => {
    const key = readSshKeyLine(line(name));
    expect(key).toMatchObject({ type, comment: `${name}@host` });
    if (name === 'ed25519') return;
    const pem = execFileSync('ssh-keygen', ['-e', '-m', 'PKCS8', '-f', directory.file(`${name}.pub`)]);
    expect(key.jwk).toEqual(publicJwkOf(createPublicKey(pem)));
  });

  test('no shorter or longer blob is read, and no other length in it', () => {
    const blob = blobOf(name);
    for (let length = 0; length < blob.length; length++) {
      expect(problem(() => publicKeyOfBlob(blob.subarray(0, length)))).toBeInstanceOf(KeyProblem);
    }
    expect(problem(() => publicKeyOfBlob(Buffer.concat([blob, Buffer.of(0)]))).reason).toBe('not-a-key');
    fc.assert(
      fc.property(fc.nat({ max: blob.length - 4 }), fc.integer({ min: 1, max: 0xffffffff }), (at, length) => {
        const hostile = Buffer.from(blob);
        hostile.writeUInt32BE(length, at);
        try {
          publicKeyOfBlob(hostile);
        } catch (error) {
          expect(error).toBeInstanceOf(KeyProblem);
        }
      }),
      { numRuns: 200 },
    );
  });

  test('options, comments and white space around it', () => {
    const key = readSshKeyLine(line(name)).jwk;
    const [word, digits] = line(name).split(' ');
    const options = [
      'restrict',
      'no-pty,command="echo \\"a b\\" ssh-rsa AAAA"',
      'from="10.0.0.0/8, !10.0.0.1",environment="A=cert-authority"',
    ];
    for (const each of options) {
      const read = readSshKeyLine(`  ${each}\t${word}  ${digits}   two  words \r`);
      expect(read).toMatchObject({ jwk: key, comment: 'two  words' });
    }
    expect(readSshKeyLine(`${word} ${digits}`)).toMatchObject({ jwk: key, comment: '' });
  });

  test('only canonical base64 of a blob of the type before it', () => {
    const [word = '', digits = ''] = line(name).split(' ');
    const bad = [`${digits}=`, `${digits}A`, digits.slice(1), `${digits.slice(0, 8)}!${digits.slice(9)}`, ''];
    for (const each of bad) expect(problem(() => readSshKeyLine(`${word} ${each} comment`)).reason).toBe('not-a-key');
    const other = word === 'ssh-rsa' ? 'ssh-ed25519' : 'ssh-rsa';
    expect(problem(() => readSshKeyLine(`${other} ${digits}`)).message).toBe('holds a damaged SSH key');
  });
});

describe('what is not used says why', () => {
  const blob = (type: string): string => wireString(type, Buffer.alloc(32)).toString('base64');
  const made: [name: string, text: () => string, message: RegExp][] = [
    ['a small RSA key', () => line('small'), /^is an RSA key of 1024 bits; RSA keys of 2048/],
    ['a certificate', () => readFileSync(directory.file('ed25519-cert.pub'), 'utf8'), /^is a certificate of SSH/],
    ['an authority', () => `cert-authority,no-pty ${line('ed25519')}`, /^is the key of an authority of SSH/],
    ['DSA', () => `ssh-dss ${blob('ssh-dss')} c`, /of the type ssh-dss; ssh-ed25519, ssh-rsa and/],
    ['Ed448', () => `ssh-ed448 ${blob('ssh-ed448')} c`, /of the type ssh-ed448/],
    ...['sk-ssh-ed25519@openssh.com', 'sk-ecdsa-sha2-nistp256@openssh.com'].map(
      (type): [string, () => string, RegExp] => [type, () => `${type} ${blob(type)} c`, /bound to hardware/],
    ),
  ];
  test.each(made)('%s', (_name, text, message) => {
    expect(isSshKeyLine(text())).toBe(true);
    expect(problem(() => readSshKeyLine(text()))).toMatchObject({
      reason: 'unsupported',
      message: expect.stringMatching(message),
    });
  });
});

test('numbers and points that are not canonical are damaged', () => {
  const reader = readSshKeyLine(line('rsa')).jwk;
  const n = Buffer.from('n' in reader ? reader.n : '', 'base64url');
  const point = blobOf('p256').subarray(-65);
  const type = 'ecdsa-sha2-nistp256';
  const offCurve = Buffer.from(point);
  offCurve[64] = (offCurve[64] ?? 0) ^ 1;
  const damaged: Buffer[] = [
    wireString('ssh-rsa', Buffer.of(1, 0, 1), n),
    wireString('ssh-rsa', Buffer.of(1, 0, 1), Buffer.concat([Buffer.alloc(2), n])),
    wireString('ssh-rsa', Buffer.of(1), Buffer.concat([Buffer.alloc(1), n])),
    wireString(type, 'nistp384', point),
    wireString(type, 'nistp256', offCurve),
    wireString(type, 'nistp256', Buffer.concat([Buffer.of(2), point.subarray(1, 33)])),
    wireString('ssh-ed25519', Buffer.alloc(31)),
  ];
  for (const blob of damaged) expect(problem(() => publicKeyOfBlob(blob)).reason).toBe('not-a-key');
});

test('an Ed25519 key that is made of any 32 bytes is read as it was written', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), fc.string(), (key, comment) => {
      const digits = wireString('ssh-ed25519', key).toString('base64');
      const read = readSshKeyLine(`ssh-ed25519 ${digits} ${comment.replace(/\s/g, '')}`);
      expect(read.jwk).toEqual({ kty: 'OKP', crv: 'Ed25519', x: Buffer.from(key).toString('base64url') });
      expect(read.comment).toBe(comment.replace(/\s/g, ''));
    }),
  );
});

test('any text is a key, or a problem, at once', () => {
  const words = fc.constantFrom('ssh-rsa', 'ssh-ed25519', 'AAAA', '"', '\\"', ' ', '\t', 'no-pty,', 'x', '\0', 'é');
  fc.assert(
    fc.property(fc.array(words), (parts) => {
      const text = parts.join('');
      if (isSshKeyLine(text)) expect(problem(() => readSshKeyLine(text))).toBeInstanceOf(KeyProblem);
      else expect(problem(() => readSshKeyLine(text)).message).toBe('holds no SSH key');
    }),
  );
  const started = performance.now();
  isSshKeyLine(`${'"'.repeat(60_000)} x`);
  isSshKeyLine(`ssh-rsa${' '.repeat(60_000)}`);
  expect(performance.now() - started).toBeLessThan(5000);
});
