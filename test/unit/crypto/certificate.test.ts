import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Certificate } from '../../../src/crypto/certificate.ts';
import { disposeAll, parseCertificates, parseChain } from '../../../src/crypto/certificate-pem.ts';
import { Pki } from '../keys/certificates/pki.ts';

const pki = new Pki();
let der: Buffer;

beforeAll(() => {
  const extensions = [
    'keyUsage=critical,digitalSignature,keyAgreement',
    'extendedKeyUsage=serverAuth,emailProtection',
    'authorityInfoAccess=OCSP;URI:http://a.example/,OCSP;URI:http://b.example/,caIssuers;URI:http://c.example/',
  ];
  const options = extensions.flatMap((line) => ['-addext', line]);
  pki.selfSigned('whole', '/C=CH/O=Größe, Ltd./CN=host\\+1', options);
  pki.openssl('x509', '-in', 'whole.crt', '-outform', 'DER', '-out', 'whole.der');
  der = readFileSync(pki.path('whole.der'));
});
afterAll(() => pki.dispose());

describe('a certificate', () => {
  test('has what it says, as node:crypto reads it too', () => {
    const certificate = new Certificate(der, 'whole.der');
    const twin = new X509Certificate(der);
    expect(certificate).toMatchObject({
      source: 'whole.der',
      subject: 'CN=host\\+1,O=Größe\\, Ltd.,C=CH',
      issuer: 'CN=host\\+1,O=Größe\\, Ltd.,C=CH',
      keyUsage: new Set(['digitalSignature', 'keyAgreement']),
      extendedKeyUsage: new Set(['serverAuth', 'emailProtection']),
      notBefore: new Date(twin.validFrom),
      notAfter: new Date(twin.validTo),
    });
    expect(certificate.responders).toEqual(['http://a.example/', 'http://b.example/']);
    expect(certificate.securityBits).toBe(128);
    // It says so by basicConstraints, but its key is not for signing certificates.
    expect(certificate.isAuthority).toBe(false);
    expect(certificate.der.equals(twin.raw)).toBe(true);
    expect(Buffer.from(certificate.fingerprint, 'base64url').toString('hex')).toBe(
      twin.fingerprint256.replaceAll(':', '').toLowerCase(),
    );
    const { x, y } = twin.publicKey.export({ format: 'jwk' });
    expect(certificate.publicKey).toEqual({ kty: 'EC', crv: 'P-256', x, y });
    certificate.dispose();
    certificate.dispose();
    expect(certificate.subject).toContain('host');
    expect(() => certificate.pointer).toThrow('disposed of');
  });

  test('without extensions restricts nothing', () => {
    pki.openssl('x509', '-new', '-key', 'whole.key', '-subj', '/CN=bare', '-days', '1', '-out', 'bare.crt');
    const [bare] = parseCertificates(readFileSync(pki.path('bare.crt')), 'bare');
    expect(bare).toMatchObject({
      keyUsage: undefined,
      extendedKeyUsage: undefined,
      responders: [],
      isAuthority: false,
    });
    bare?.dispose();
  });

  test('of X25519 has a key to encrypt for', () => {
    pki.openssl('genpkey', '-algorithm', 'X25519', '-out', 'x.key');
    pki.openssl('pkey', '-in', 'x.key', '-pubout', '-out', 'x.pub');
    const made = ['x509', '-new', '-force_pubkey', 'x.pub', '-subj', '/CN=x', '-days', '1'];
    pki.openssl(...made, '-CA', 'whole.crt', '-CAkey', 'whole.key', '-out', 'x.crt');
    const [certificate] = parseCertificates(readFileSync(pki.path('x.crt')), 'x');
    expect(certificate?.publicKey).toMatchObject({ kty: 'OKP', crv: 'X25519' });
    certificate?.dispose();
  });
});

describe('bytes', () => {
  const refused = (bytes: Uint8Array): unknown => {
    try {
      disposeAll(parseCertificates(Buffer.from(bytes), 'FILE'));
    } catch (error) {
      return error;
    }
    throw new Error('they were taken for a certificate');
  };
  const pem = (): string => readFileSync(pki.path('whole.crt'), 'latin1');

  test.each([
    ['none', () => Buffer.alloc(0), 'not a certificate'],
    ['text', () => Buffer.from('hello'), 'not a certificate'],
    ['cut DER', () => der.subarray(0, -1), 'not a certificate'],
    ['DER and a byte', () => Buffer.concat([der, Buffer.alloc(1)]), 'not a certificate'],
    ['two in DER', () => Buffer.concat([der, der]), 'not a certificate'],
    ['too many', () => Buffer.from(pem().repeat(9)), 'more than 8 certificates'],
    ['cut PEM', () => Buffer.from(pem().slice(0, -5)), 'holds a PEM block that does not end'],
    [
      'too large',
      () => Buffer.concat([Buffer.from('30830fffff', 'hex'), Buffer.alloc(70_000)]),
      'larger than 65536 bytes',
    ],
  ])('that are %s are refused', (_, make, message) => {
    expect(refused(make())).toMatchObject({
      code: 'untrusted',
      path: 'FILE',
      data: { reason: 'not-a-certificate' },
      message: expect.stringMatching(new RegExp(`^FILE: .*${message}`)),
    });
  });

  test('in BER that is not DER are refused, as they would have another fingerprint', () => {
    // The length of the outer SEQUENCE in three bytes, where two are enough.
    const ber = Buffer.concat([Buffer.from([0x30, 0x83, 0x00]), der.subarray(2)]);
    expect(der[1]).toBe(0x82);
    expect(refused(ber)).toMatchObject({ message: 'FILE: not a certificate in DER' });
  });

  test('of a chain and a private key among text give the chain', () => {
    const text = `my key\n${readFileSync(pki.path('whole.key'), 'latin1')}0: leaf\n${pem()}1: again\n${pem()}`;
    const parsed = parseCertificates(Buffer.from(text), 'FILE');
    expect(parsed.map(({ fingerprint }) => fingerprint)).toEqual(Array(2).fill(new Certificate(der, 'x').fingerprint));
    disposeAll(parsed);
  });

  test('of a chain in DER give each, or nothing', () => {
    disposeAll(parseChain([der, der], 'SIGNATURE'));
    for (const chain of [[], Array<Buffer>(9).fill(der), [der, der.subarray(1)]]) {
      expect(() => parseChain(chain, 'SIGNATURE')).toThrow(/^SIGNATURE: /);
    }
  });
});

// Goal: no bytes from outside end this process, or let C read beyond their end. Method: another process parses and
// checks thousands of changed certificates, lists and answers, and is seen to come to its end.
test('changed bytes of every kind are borne', () => {
  pki.authority('ca');
  pki.issue('ca', 'leaf');
  pki.revoke('ca', 'leaf');
  pki.crl('ca', 'ca.crl');
  pki.openssl('crl', '-in', 'ca.crl', '-outform', 'DER', '-out', 'crl.der');
  for (const name of ['ca', 'leaf'])
    pki.openssl('x509', '-in', `${name}.crt`, '-outform', 'DER', '-out', `${name}.der`);
  expect(new Certificate(readFileSync(pki.path('ca.der')), 'ca').isAuthority).toBe(true);
  const answer = ['-index', 'ca/index.txt', '-CA', 'ca.crt', '-rsigner', 'ca.crt', '-rkey', 'ca.key', '-ndays', '9'];
  pki.openssl('ocsp', '-issuer', 'ca.crt', '-cert', 'leaf.crt', '-no_nonce', '-reqout', 'request.der');
  pki.openssl('ocsp', '-reqin', 'request.der', ...answer, '-respout', 'answer.der');
  const child = fileURLToPath(new URL('certificate-mutations.ts', import.meta.url));
  const said = execFileSync(process.execPath, ['--import', 'tsx', child, pki.directory], { encoding: 'utf8' });
  const counts: { certificates: number; lists: number; answers: number } = JSON.parse(said);
  // Some changes are in what is not looked at, such as a signature; the others are refused.
  for (const accepted of Object.values(counts)) expect(accepted).toBeGreaterThan(0);
});
