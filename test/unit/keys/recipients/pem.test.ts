import { X509Certificate } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Secret } from '../../../../src/crypto/secret.ts';
import { parseSlot } from '../../../../src/format/slot.ts';
import { PrivateKeyFile } from '../../../../src/keys/identities/private-key-file.ts';
import { readRecipientFile } from '../../../../src/keys/recipients/pem.ts';
import { KeyDirectory } from '../../crypto/made-keys.ts';

const directory = new KeyDirectory();
afterAll(() => directory.remove());

const imageId = Buffer.alloc(16, 0x1d);
const imageKey = Secret.random(32);

const kinds: [name: string, options: string][] = [
  ['rsa', '-algorithm RSA'],
  ['p256', '-algorithm EC -pkeyopt ec_paramgen_curve:P-256'],
  ['p384', '-algorithm EC -pkeyopt ec_paramgen_curve:P-384'],
  ['p521', '-algorithm EC -pkeyopt ec_paramgen_curve:P-521'],
  ['x25519', '-algorithm X25519'],
  ['ed25519', '-algorithm ED25519'],
];

beforeAll(() => {
  for (const [name, options] of kinds) {
    directory.openssl(`genpkey ${options} -out ${name}.pem`);
    directory.openssl(`pkey -in ${name}.pem -pubout -out ${name}.pub`);
    directory.openssl(`pkey -in ${name}.pem -pubout -outform DER -out ${name}.pub.der`);
    if (name === 'x25519') continue;
    directory.openssl(`req -x509 -new -key ${name}.pem -subj /O=Example/CN=${name} -days 30 -out ${name}.crt`);
    directory.openssl(`x509 -in ${name}.crt -outform DER -out ${name}.crt.der`);
  }
  directory.openssl('rsa -in rsa.pem -RSAPublicKey_out -out rsa-pkcs1.pub');
  directory.openssl('rsa -in rsa.pem -RSAPublicKey_out -outform DER -out rsa-pkcs1.der');
  directory.openssl('genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024 -out small.pem');
  directory.openssl('pkey -in small.pem -pubout -out small.pub');
  directory.openssl('req -x509 -new -key small.pem -subj /CN=small -out small.crt');
  directory.openssl('genpkey -algorithm EC -pkeyopt ec_paramgen_curve:secp256k1 -out k1.pem');
  directory.openssl('pkey -in k1.pem -pubout -out k1.pub');
});

/** Makes a slot for what a file holds, and opens it with the private key. */
async function roundTrip(file: string, key: string) {
  const recipient = readRecipientFile(directory.file(file));
  const slot = await recipient.wrap(imageKey, imageId);
  const identity = PrivateKeyFile.read(directory.file(`${key}.pem`));
  const opened = await identity.unwrap([slot], imageId);
  expect(identity.keyId).toBe(recipient.keyId);
  identity.dispose();
  expect(Buffer.from(opened?.imageKey.bytes ?? [])).toEqual(Buffer.from(imageKey.bytes));
  expect(parseSlot(JSON.parse(JSON.stringify(slot)))).toEqual(slot);
  return { recipient, header: slot.header };
}

test.each(kinds)('a public key of %s, in PEM and DER', async (name) => {
  for (const file of [`${name}.pub`, `${name}.pub.der`]) {
    const { recipient, header } = await roundTrip(file, name);
    expect(recipient.source).toBe(`public key ${directory.file(file)}`);
    expect(recipient.certificates).toEqual([]);
    expect(header).toEqual({ kind: 'public-key', created: expect.stringMatching(/^2.*Z$/) });
  }
});

test.each(['rsa-pkcs1.pub', 'rsa-pkcs1.der'])('a public key in PKCS #1 (%s)', async (file) => {
  await roundTrip(file, 'rsa');
});

test.each(kinds.filter(([name]) => name !== 'x25519'))('a certificate of %s, in PEM and DER', async (name) => {
  for (const file of [`${name}.crt`, `${name}.crt.der`]) {
    const { recipient, header } = await roundTrip(file, name);
    const certificate = new X509Certificate(readFileSync(directory.file(file)));
    const hash = Buffer.from(certificate.fingerprint256.replaceAll(':', ''), 'hex');
    expect(header).toEqual({
      kind: 'certificate',
      subject: `CN=${name},O=Example`,
      certificate: hash.toString('base64url'),
      notAfter: new Date(certificate.validTo).toISOString().replace('.000', ''),
      created: expect.any(String),
    });
    expect(recipient.certificates).toEqual([readFileSync(directory.file(`${name}.crt.der`))]);
  }
});

test('of a chain the first certificate counts, and a private key beside it is not looked at', async () => {
  const text = ['p256.pem', 'rsa.crt', 'p384.crt'].map((file) => readFileSync(directory.file(file), 'latin1')).join('');
  writeFileSync(directory.file('chain.pem'), text);
  const { recipient } = await roundTrip('chain.pem', 'rsa');
  const ders = ['rsa', 'p384'].map((name) => readFileSync(directory.file(`${name}.crt.der`)));
  expect(recipient.certificates).toEqual(ders);
});

test('a subject that a terminal would act on is shown as escapes', async () => {
  directory.openssl('req -x509 -new -key rsa.pem -utf8 -subj /CN=a\u001b[31m\u202eb -out odd.crt');
  const { header } = await roundTrip('odd.crt', 'rsa');
  expect(header?.subject).not.toMatch(/[\p{Cc}\p{Cf}]/u);
});

/** Returns what a call throws. */
function caught(call: () => unknown): unknown {
  try {
    return call();
  } catch (error) {
    return error;
  }
}

describe('what is refused', () => {
  test.each([
    ['a private key', 'rsa.pem', 'not-a-recipient', 'but a private key, which only opens images'],
    ['an RSA key of 1024 bits', 'small.pub', 'unsupported', 'is an RSA key of 1024 bits'],
    ['a certificate of one', 'small.crt', 'unsupported', 'is an RSA key of 1024 bits'],
    ['another curve', 'k1.pub', 'unsupported', 'is an EC key of the curve secp256k1'],
    ['a file that is absent', 'absent.pub', 'missing', 'no such file'],
    ['a directory', '.', 'unreadable', 'is a directory'],
  ])('%s', (_what, file, reason, message) => {
    const path = directory.file(file);
    const error = caught(() => readRecipientFile(path));
    expect(error).toMatchObject({ code: 'bad-key-file', path, data: { reason } });
    expect(String(error)).toContain(message);
  });

  test.each([
    ['nothing', ''],
    ['text', 'hello\n'],
    ['a block that is no certificate', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'],
    ['a block that is no key', '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n'],
    ['a block that does not end', '-----BEGIN PUBLIC KEY-----\nAAAA\n'],
  ])('a file of %s', (_what, text) => {
    writeFileSync(directory.file('odd'), text);
    expect(caught(() => readRecipientFile(directory.file('odd')))).toMatchObject({
      data: { reason: 'not-a-recipient' },
    });
  });

  test('a file of more than 65,536 bytes', () => {
    writeFileSync(directory.file('large'), Buffer.alloc(65_537, 0x41));
    expect(caught(() => readRecipientFile(directory.file('large')))).toMatchObject({ data: { reason: 'too-large' } });
  });
});
