// Goal: every form of private key that OpenSSL writes is read, and says what is wrong when it is not.
import { createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { KeyProblem } from '../../../src/crypto/key-problem.ts';
import { readPrivateKey } from '../../../src/crypto/private-key-file.ts';
import { publicJwkOf, thumbprint } from '../../../src/crypto/public-key.ts';
import { Secret } from '../../../src/crypto/secret.ts';
import { KeyDirectory } from './made-keys.ts';

const directory = new KeyDirectory();
afterAll(() => directory.remove());

const PASSPHRASE = 'pässword';

/** Each form that is protected by a passphrase, with the key in it. */
const encrypted: [file: string, key: string, command: string][] = [
  ['pbes2.pem', 'rsa', 'pkcs8 -topk8 -in rsa.pem'],
  ['pbes2.der', 'rsa', 'pkcs8 -topk8 -in rsa.pem -outform DER'],
  ['scrypt.pem', 'x25519', 'pkcs8 -topk8 -scrypt -scrypt_N 1024 -in x25519.pem'],
  ['pbes1.pem', 'rsa', 'pkcs8 -topk8 -v1 PBE-SHA1-3DES -in rsa.pem'],
  ['rsa-aes.pem', 'rsa', 'rsa -traditional -aes256 -in rsa.pem'],
  ['rsa-des3.pem', 'rsa', 'rsa -traditional -des3 -in rsa.pem'],
  ['ec-aes.pem', 'p384', 'ec -aes128 -in p384.pem'],
  ['now.p12', 'rsa', 'pkcs12 -export -inkey rsa.pem -in rsa.crt'],
  ['old.p12', 'rsa', 'pkcs12 -export -legacy -inkey rsa.pem -in rsa.crt'],
  ['no-mac.p12', 'rsa', 'pkcs12 -export -nomac -inkey rsa.pem -in rsa.crt'],
  ['no-certificate.p12', 'p384', 'pkcs12 -export -nocerts -inkey p384.pem'],
];

/** Each form that is not, with the key in it. */
const plain: [file: string, key: string, command: string][] = [
  ['pkcs8.pem', 'rsa', 'pkcs8 -topk8 -nocrypt -in rsa.pem'],
  ['pkcs8.der', 'rsa', 'pkcs8 -topk8 -nocrypt -in rsa.pem -outform DER'],
  ['pkcs1.pem', 'rsa', 'rsa -traditional -in rsa.pem'],
  ['pkcs1.der', 'rsa', 'rsa -traditional -in rsa.pem -outform DER'],
  ['sec1.pem', 'p384', 'ec -in p384.pem'],
  ['sec1.der', 'p384', 'ec -in p384.pem -outform DER'],
  ['sec1-no-public.pem', 'p384', 'ec -in p384.pem -no_public'],
  ['p256.pem', 'p256', 'pkey -in p256.pem'],
  ['p521.pem', 'p521', 'pkey -in p521.pem'],
  ['x25519.pem', 'x25519', 'pkey -in x25519.pem'],
  ['ed25519.pem', 'ed25519', 'pkey -in ed25519.pem'],
  ['empty.p12', 'rsa', 'pkcs12 -export -inkey rsa.pem -in rsa.crt -passout pass:'],
  ['plain.p12', 'rsa', 'pkcs12 -export -keypbe NONE -certpbe NONE -nomac -inkey rsa.pem -in rsa.crt -passout pass:'],
];

beforeAll(() => {
  const make = (name: string, options: string): Buffer => directory.openssl(`genpkey ${options} -out ${name}.pem`);
  make('rsa', '-algorithm RSA');
  for (const bits of [256, 384, 521]) make(`p${bits}`, `-algorithm EC -pkeyopt ec_paramgen_curve:P-${bits}`);
  make('x25519', '-algorithm X25519');
  make('ed25519', '-algorithm ED25519');
  make('ed448', '-algorithm ED448');
  make('small', '-algorithm RSA -pkeyopt rsa_keygen_bits:1024');
  make('k1', '-algorithm EC -pkeyopt ec_paramgen_curve:secp256k1');
  make('explicit', '-algorithm EC -pkeyopt ec_paramgen_curve:P-256 -pkeyopt ec_param_enc:explicit');
  make('pss', '-algorithm RSA-PSS');
  directory.openssl('ec -in k1.pem -out k1-sec1.pem');
  directory.openssl('req -x509 -new -key rsa.pem -subj /CN=host -out rsa.crt');
  for (const [file, key, command] of plain) {
    if (file !== `${key}.pem`) directory.openssl(`${command} -out ${file}`);
  }
  for (const [file, , command] of encrypted) directory.openssl(`${command} -passout pass:${PASSPHRASE} -out ${file}`);
});

/** Returns the thumbprint of the key that a file holds, as read, or the reason why it is not read. */
function read(file: string | Buffer, passphrase?: string): string {
  const contents = typeof file === 'string' ? readFileSync(directory.file(file)) : file;
  try {
    const key = readPrivateKey(contents, passphrase === undefined ? undefined : Secret.copy(Buffer.from(passphrase)));
    key.dispose();
    return thumbprint(key.publicJwk);
  } catch (error) {
    if (error instanceof KeyProblem) return error.reason;
    throw error;
  }
}

/** Returns the thumbprint by Node, from what the openssl command says is the public key. */
function expected(name: string): string {
  return thumbprint(publicJwkOf(createPublicKey(directory.openssl(`pkey -in ${name}.pem -pubout`))));
}

test.each(plain)('%s (%s)', (file, key) => {
  expect(read(file)).toBe(expected(key));
});

test.each(encrypted)('%s (%s), protected by a passphrase', (file, key) => {
  expect(read(file, PASSPHRASE)).toBe(expected(key));
  expect(read(file)).toBe('passphrase-needed');
  for (const wrong of ['x', `${PASSPHRASE}x`, PASSPHRASE.slice(1), 'x'.repeat(5000)]) {
    expect(read(file, wrong)).toBe('wrong-passphrase');
  }
});

test('wrong passphrases of which some pass the check of the padding', () => {
  const wrong = Array.from({ length: 600 }, (_, i) => `wrong ${i}`);
  expect(new Set(wrong.map((passphrase) => read('rsa-des3.pem', passphrase)))).toEqual(new Set(['wrong-passphrase']));
});

test.each([
  ['an RSA key of 1024 bits', 'small.pem', 'unsupported'],
  ['a curve that is not used', 'k1.pem', 'unsupported'],
  ['a curve that is not used, in SEC 1', 'k1-sec1.pem', 'unsupported'],
  ['a curve by its numbers', 'explicit.pem', 'unsupported'],
  ['a kind of key that is not used', 'ed448.pem', 'unsupported'],
  ['an RSA key for PSS only', 'pss.pem', 'unsupported'],
  ['a certificate', 'rsa.crt', 'not-a-key'],
])('%s is refused', (_what, file, reason) => {
  expect(read(file)).toBe(reason);
});

describe('a PEM file', () => {
  const text = (name: string): string => readFileSync(directory.file(name), 'latin1');

  test('with a certificate before the key, and text around both', () => {
    const whole = `# the host's\n${text('rsa.crt')}Bag Attributes: <none>\n${text('pkcs8.pem')}\nmore`;
    expect(read(Buffer.from(whole))).toBe(expected('rsa'));
  });

  test('with lines of DOS, also where the block has headers', () => {
    const dos = (name: string): Buffer => Buffer.from(text(name).replaceAll('\n', '\r\n'));
    expect(read(dos('pkcs8.pem'))).toBe(expected('rsa'));
    expect(read(dos('rsa-aes.pem'), PASSPHRASE)).toBe(expected('rsa'));
  });

  test('that is cut, or is no base64', () => {
    const pem = text('pkcs8.pem');
    for (const cut of [10, 30, 200, pem.length - 20]) expect(read(Buffer.from(pem.slice(0, cut)))).toBe('not-a-key');
    expect(read(Buffer.from(pem.replace(/[A-Z]{3}/, '!!!')))).toBe('not-a-key');
  });

  test('of a cipher that OpenSSL lacks', () => {
    const pem = text('rsa-aes.pem').replace('AES-256-CBC', 'ROT-13');
    expect(read(Buffer.from(pem), PASSPHRASE)).toBe('unsupported');
  });
});

test('damaged bytes give a key or a reason, never a fault', () => {
  // Not those with a count of iterations in them, which could become one of hours.
  const names = [...plain.map(([file]) => file), 'rsa-aes.pem', 'rsa-des3.pem', 'ec-aes.pem'];
  const files = names.filter((file) => file !== 'empty.p12').map((file) => readFileSync(directory.file(file)));
  const place = fc.tuple(fc.nat(), fc.nat(255));
  fc.assert(
    fc.property(
      fc.constantFrom(...files),
      fc.array(place, { minLength: 1, maxLength: 4 }),
      fc.nat(),
      (file, at, cut) => {
        const bytes = Buffer.from(file);
        for (const [offset, value] of at) bytes[offset % bytes.length] = value;
        read(bytes.subarray(0, cut % 4 === 0 ? cut % bytes.length : bytes.length), PASSPHRASE);
      },
    ),
    { numRuns: 500 },
  );
});

test('any bytes at all give a reason', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      expect(read(Buffer.from([0x30, 0x82, 0, bytes.length, ...bytes]))).toMatch(/not-a-key|unsupported|needed/);
    }),
    { numRuns: 500 },
  );
});
