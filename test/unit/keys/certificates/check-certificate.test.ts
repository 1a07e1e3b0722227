import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CkptfsError } from '../../../../src/base/errors.ts';
import { disposeAll } from '../../../../src/crypto/certificate-pem.ts';
import type { CertificateChecks, CertificatePurpose } from '../../../../src/keys/certificates/certificate-checks.ts';
import { readCertificateFile } from '../../../../src/keys/certificates/certificate-files.ts';
import {
  type CertificateVerdict,
  checkCertificate,
  checkCertificateChain,
} from '../../../../src/keys/certificates/check-certificate.ts';
import { Pki } from './pki.ts';

const pki = new Pki();
let root = '';
let bundle = '';

beforeAll(() => {
  root = pki.authority('root');
  pki.authority('inter', 'root');
  pki.authority('other');
  for (const kind of ['P-256', 'P-521', 'secp256k1', 'RSA', 'RSA-1024', 'Ed25519'] as const) {
    pki.issue('inter', kind, { kind });
  }
  bundle = pki.join('bundle.pem', 'P-256.crt', 'inter.crt');
  pki.join('signer.pem', 'Ed25519.crt', 'inter.crt');
});
afterAll(() => pki.dispose());

const EARLY = new Date('2020-06-01T00:00:00Z');
const AFTER_LEAF = new Date('2080-06-01T00:00:00Z');
const AFTER_ALL = new Date('2091-01-01T00:00:00Z');

async function check(
  path: string,
  checks: CertificateChecks,
  purpose: CertificatePurpose = 'recipient',
): Promise<CertificateVerdict> {
  const [certificate, ...chain] = readCertificateFile(path);
  if (certificate === undefined) throw new Error('no certificate');
  try {
    return await checkCertificate(certificate, chain, purpose, checks);
  } finally {
    disposeAll([certificate, ...chain]);
  }
}

/** Returns reason and message of the refusal. */
async function refusal(path: string, checks: CertificateChecks, purpose?: CertificatePurpose): Promise<string> {
  const error = await check(path, checks, purpose).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof CkptfsError) || error.code !== 'untrusted') throw error ?? new Error('it was accepted');
  const { reason } = error.data ?? { reason: '' };
  expect(error.message).not.toMatch(/\p{Cc}/u);
  // Times of now differ from run to run; those of the authorities are at midnight.
  const message = error.message.replace(/ at \d{4}-\d\d-\d\dT(?!00:00:00Z)[\d:]+Z/, ' at TIME');
  return `${reason}: ${message.replaceAll(`${pki.directory}/`, '')}`;
}

const accepted = { isTrusted: true, isRevocationChecked: false, overridden: [] };

describe('the chain', () => {
  test('leads over an intermediate to a trusted root', async () => {
    expect(await check(bundle, { caFiles: [root] })).toEqual(accepted);
    expect(await check(pki.path('signer.pem'), { caFiles: [root] }, 'signer')).toEqual(accepted);
  });

  test('is taken as DER too, as signatures have it', async () => {
    const chain = readCertificateFile(bundle);
    const ders = chain.map(({ der }) => der);
    disposeAll(chain);
    expect(await checkCertificateChain(ders, 'x5c', 'signer', { caFiles: [root] })).toEqual(accepted);
    await expect(checkCertificateChain([], 'x5c', 'signer')).rejects.toThrow('x5c: not a certificate');
    await expect(checkCertificateChain(Array(9).fill(ders[0]), 'x5c', 'signer')).rejects.toThrow('x5c: more than 8');
  });

  test('without trusted certificates is not looked for, and the verdict says so', async () => {
    expect(await check(pki.path('P-256.crt'), {})).toEqual({ ...accepted, isTrusted: false });
  });

  test('ends at an intermediate, or at the certificate itself, that is trusted', async () => {
    expect(await check(bundle, { caFiles: [pki.path('inter.crt')] })).toEqual(accepted);
    expect(await check(pki.path('P-256.crt'), { caFiles: [pki.path('P-256.crt')] })).toEqual(accepted);
    const own = pki.selfSigned('own');
    expect(await check(own, { caFiles: [own] })).toEqual(accepted);
  });

  test('to no trusted one is refused', async () => {
    expect(await refusal(pki.path('P-256.crt'), { caFiles: [root] })).toBe(
      'unknown-issuer: P-256.crt: the certificate of CN=P-256,O=Team leads to CN=inter,O=Team, which ' +
        'is not among the ' +
        'trusted ones',
    );
    expect(await refusal(bundle, { caFiles: [pki.path('other.crt')] })).toBe(
      'unknown-issuer: bundle.pem: the certificate of CN=P-256,O=Team leads to CN=root,O=Team, which ' +
        'is not among the trusted ones',
    );
    expect(await refusal(pki.path('own.crt'), { caFiles: [root] })).toBe(
      'unknown-issuer: own.crt: the certificate of CN=own is signed by itself and is not among the ' + 'trusted ones',
    );
  });

  test('with an authority of the same name and another key is refused', async () => {
    const same = new Pki();
    try {
      same.authority('root');
      expect(await refusal(bundle, { caFiles: [same.path('root.crt')] })).toBe(
        'unknown-issuer: bundle.pem: the certificate of CN=P-256,O=Team leads to CN=root,O=Team, which ' +
          'is not among the trusted ones',
      );
    } finally {
      same.dispose();
    }
  });

  test('over what is no authority is refused', async () => {
    pki.authority('keyOnly', 'root', ['keyUsage=critical,keyCertSign']);
    pki.issue('keyOnly', 'a');
    expect(await refusal(pki.join('a.pem', 'a.crt', 'keyOnly.crt'), { caFiles: [root] })).toBe(
      'invalid-chain: a.pem: the certificate of CN=a,O=Team has no valid chain (invalid CA ' +
        'certificate, CN=keyOnly,O=Team)',
    );
    pki.authority('leafAsIssuer', 'root', ['basicConstraints=CA:FALSE']);
    pki.issue('leafAsIssuer', 'b');
    expect(await refusal(pki.join('b.pem', 'b.crt', 'leafAsIssuer.crt'), { caFiles: [root] })).toBe(
      'invalid-chain: b.pem: the certificate of CN=b,O=Team has no valid chain (invalid CA ' +
        'certificate, CN=leafAsIssuer,O=Team)',
    );
    pki.authority('first', 'root', ['basicConstraints=critical,CA:TRUE,pathlen:0']);
    pki.authority('second', 'first');
    pki.issue('second', 'c');
    expect(await refusal(pki.join('c.pem', 'c.crt', 'second.crt', 'first.crt'), { caFiles: [root] })).toBe(
      'invalid-chain: c.pem: the certificate of CN=c,O=Team has no valid chain (path length ' +
        'constraint exceeded, CN=first,O=Team)',
    );
  });

  test('of more than eight certificates is refused', async () => {
    const names = ['root', 'i1', 'i2', 'i3', 'i4', 'i5', 'i6', 'i7'];
    for (const [at, name] of names.entries()) if (at > 0) pki.authority(name, names[at - 1]);
    pki.issue('i6', 'eighth');
    pki.issue('i7', 'ninth');
    const above = (count: number) => names.slice(1, count).map((name) => `${name}.crt`);
    expect(await check(pki.join('8.pem', 'eighth.crt', ...above(7)), { caFiles: [root] })).toEqual(accepted);
    expect(await refusal(pki.join('9.pem', 'ninth.crt', ...above(8)), { caFiles: [root] })).toBe(
      'invalid-chain: 9.pem: the certificate of CN=ninth,O=Team has no valid chain (certificate chain ' +
        'too long, CN=i1,O=Team)',
    );
    expect(await refusal(pki.join('10.pem', 'ninth.crt', ...above(8), 'root.crt'), { caFiles: [root] })).toBe(
      'not-a-certificate: 10.pem: more than 8 certificates',
    );
  });

  test('with an extension that is critical and not known is refused', async () => {
    pki.issue('inter', 'critical', { extensions: ['1.2.3.4=critical,ASN1:NULL'] });
    expect(await refusal(pki.join('critical.pem', 'critical.crt', 'inter.crt'), { caFiles: [root] })).toBe(
      'invalid-chain: critical.pem: the certificate of CN=critical,O=Team has no valid chain ' +
        '(unhandled critical extension)',
    );
  });

  test('that is signed over a weak digest, or with a short key, is refused', async () => {
    const rsaRoot = pki.authority('rsa-root', undefined, undefined, 'RSA');
    for (const digest of ['md5', 'sha1']) {
      expect(await refusal(pki.issue('rsa-root', digest, { digest }), { caFiles: [rsaRoot] })).toBe(
        `weak: ${digest}.crt: the certificate of CN=${digest},O=Team is too weakly signed, or has an issuer with a short ` +
          'key (CA signature digest algorithm too weak)',
      );
    }
    const shortRoot = pki.authority('short-root', undefined, undefined, 'RSA-1024');
    expect(await refusal(pki.issue('short-root', 'short'), { caFiles: [shortRoot] })).toBe(
      'weak: short.crt: the certificate of CN=short,O=Team is too weakly signed, or has an issuer ' +
        'with a short key ' +
        '(CA certificate key too weak, CN=short-root,O=Team)',
    );
  });

  test('that is changed in a bit of its signature is refused', async () => {
    pki.openssl('x509', '-in', 'P-256.crt', '-outform', 'DER', '-out', 'forged.crt');
    const der = readFileSync(pki.path('forged.crt'));
    writeFileSync(pki.path('forged.crt'), der.fill((der.at(-1) ?? 0) ^ 1, der.length - 1));
    expect(await refusal(pki.path('forged.crt'), { caFiles: [pki.path('inter.crt')] })).toBe(
      'invalid-chain: forged.crt: the certificate of CN=P-256,O=Team has no valid chain (certificate ' +
        'signature failure)',
    );
  });

  test('is found by the authority that is valid, where an expired one of the same key is there too', async () => {
    pki.openssl('req', '-x509', '-key', 'root.key', '-subj', '/O=Team/CN=root', '-days', '1', '-out', 'old.crt');
    const old = pki.path('old.crt');
    const at = new Date(Date.now() + 1e9);
    expect(await check(bundle, { caFiles: [old, root], at })).toEqual(accepted);
    expect(await refusal(bundle, { caFiles: [old], at })).toBe(
      'expired: bundle.pem: the certificate of CN=P-256,O=Team is of an issuer whose certificate ' +
        '(CN=root,O=Team) expired at TIME',
    );
  });
});

describe('the certificate', () => {
  test.each([
    ['P-256', 'recipient', ''],
    ['P-256', 'signer', ''],
    ['P-521', 'recipient', ''],
    [
      'P-521',
      'signer',
      'unsupported-key: P-521.crt: the certificate of CN=P-521,O=Team has a key of a kind that is not ' +
        'for signing images',
    ],
    ['RSA', 'recipient', ''],
    ['RSA', 'signer', ''],
    ['RSA-1024', 'recipient', 'weak: RSA-1024.crt: the certificate of CN=RSA-1024,O=Team has a key that is too short'],
    [
      'secp256k1',
      'recipient',
      'unsupported-key: secp256k1.crt: the certificate of CN=secp256k1,O=Team has a key that cannot ' +
        'be used: it is an EC key of the curve secp256k1; P-256, P-384 and P-521 are used',
    ],
    [
      'Ed25519',
      'recipient',
      'unsupported-key: Ed25519.crt: the certificate of CN=Ed25519,O=Team has a key of a kind that is ' +
        'not for encrypting',
    ],
    ['Ed25519', 'signer', ''],
  ] as const)('of a key %s as %s', async (kind, purpose, expected) => {
    if (expected === '') await check(pki.path(`${kind}.crt`), {}, purpose);
    else expect(await refusal(pki.path(`${kind}.crt`), {}, purpose)).toBe(expected);
  });

  test('for another use is refused', async () => {
    const usage = (bits: string) => ({ extensions: [`keyUsage=critical,${bits}`] });
    pki.issue('inter', 'signs', usage('digitalSignature'));
    pki.issue('inter', 'agrees', usage('keyAgreement'));
    pki.issue('inter', 'rsa-signs', { kind: 'RSA', ...usage('digitalSignature,nonRepudiation') });
    pki.issue('inter', 'rsa-both', { kind: 'RSA', ...usage('digitalSignature,keyEncipherment') });
    expect(await refusal(pki.path('signs.crt'), {})).toBe(
      'wrong-usage: signs.crt: the certificate of CN=signs,O=Team is not for keyAgreement; it is for ' +
        'digitalSignature',
    );
    expect(await refusal(pki.path('agrees.crt'), {}, 'signer')).toBe(
      'wrong-usage: agrees.crt: the certificate of CN=agrees,O=Team is not for digitalSignature or ' +
        'nonRepudiation; it is for keyAgreement',
    );
    expect(await refusal(pki.path('rsa-signs.crt'), {})).toBe(
      'wrong-usage: rsa-signs.crt: the certificate of CN=rsa-signs,O=Team is not for keyEncipherment; ' +
        'it is for digitalSignature, nonRepudiation',
    );
    for (const purpose of ['recipient', 'signer'] as const) await check(pki.path('rsa-both.crt'), {}, purpose);
    await check(pki.path('agrees.crt'), {});
  });

  test('before and after its time is refused', async () => {
    for (const checks of [{}, { caFiles: [root] }]) {
      expect(await refusal(bundle, { ...checks, at: EARLY })).toBe(
        'not-yet-valid: bundle.pem: the certificate of CN=P-256,O=Team is not valid before ' + '2021-01-01T00:00:00Z',
      );
      expect(await refusal(bundle, { ...checks, at: AFTER_LEAF })).toBe(
        'expired: bundle.pem: the certificate of CN=P-256,O=Team expired at 2080-01-01T00:00:00Z',
      );
    }
    expect(await refusal(bundle, { caFiles: [pki.path('P-256.crt')], at: AFTER_LEAF })).toMatch(/^expired/);
  });

  test('of an issuer that has expired is refused', async () => {
    pki.issue('inter', 'long', { dates: ['20210101000000Z', '20950101000000Z'] });
    expect(await refusal(pki.join('long.pem', 'long.crt', 'inter.crt'), { caFiles: [root], at: AFTER_ALL })).toBe(
      'expired: long.pem: the certificate of CN=long,O=Team is of an issuer whose certificate ' +
        '(CN=inter,O=Team) expired at 2090-01-01T00:00:00Z',
    );
  });

  test('with hostile names is shown in one line that acts on nothing', async () => {
    const subject = '/CN=zoë\nforged: line\u001b[31m\u202egnp/O=a\\/b\u0007';
    const path = pki.selfSigned('hostile', subject);
    expect(await refusal(path, { at: AFTER_ALL })).toBe(
      'expired: hostile.crt: the certificate of O=a/b\\07,CN=zoë\\0Aforged: line\\1B[31m\\u{202e}gnp ' +
        'expired at TIME',
    );
    expect(await refusal(pki.selfSigned('nameless', '/'), { at: AFTER_ALL })).toBe(
      'expired: nameless.crt: a certificate without a name expired at TIME',
    );
  });
});

describe('force', () => {
  test('overrides what the certificate and its issuer say, and returns all of it', async () => {
    const verdict = await check(bundle, { caFiles: [pki.path('other.crt')], at: AFTER_LEAF, force: true });
    expect(verdict).toMatchObject({ isTrusted: false, isRevocationChecked: false });
    expect(verdict.overridden.map(({ data }) => data?.reason)).toEqual(['expired', 'unknown-issuer']);
    const expired = await check(bundle, { caFiles: [root], at: AFTER_LEAF, force: true });
    expect(expired).toMatchObject({ isTrusted: true });
    expect(expired.overridden.map(({ data }) => data?.reason)).toEqual(['expired']);
  });

  test('does not override what makes it useless, even where that is beside what it overrides', async () => {
    const forced = { caFiles: [root], at: AFTER_LEAF, force: true };
    expect(await refusal(pki.path('RSA-1024.crt'), forced)).toMatch(/^weak/);
    expect(await refusal(pki.path('Ed25519.crt'), forced)).toMatch(/^unsupported-key/);
    expect(await refusal(pki.path('sha1.crt'), { ...forced, caFiles: [pki.path('rsa-root.crt')] })).toMatch(/^weak/);
    expect(await refusal(pki.path('a.pem'), forced)).toMatch(/^invalid-chain/);
  });
});

describe('lists of revoked certificates', () => {
  let rootCrl = '';
  let interCrl = '';
  beforeAll(() => {
    pki.issue('inter', 'gone');
    pki.revoke('inter', 'gone');
    pki.join('gone.pem', 'gone.crt', 'inter.crt');
    rootCrl = pki.crl('root', 'root.crl');
    interCrl = pki.crl('inter', 'inter.crl');
  });

  test('of all issuers let a certificate pass that is not on them', async () => {
    const both = pki.join('both.crl', 'root.crl', 'inter.crl');
    for (const crlFiles of [[rootCrl, interCrl], [both]]) {
      expect(await check(bundle, { caFiles: [root], crlFiles })).toEqual({ ...accepted, isRevocationChecked: true });
    }
    pki.openssl('crl', '-in', interCrl, '-outform', 'DER', '-out', 'inter.der');
    await check(bundle, { caFiles: [root], crlFiles: [rootCrl, pki.path('inter.der')] });
  });

  test('tell that a certificate, or that of its issuer, was revoked, when and why', async () => {
    const crlFiles = [rootCrl, interCrl];
    expect(await refusal(pki.path('gone.pem'), { caFiles: [root], crlFiles })).toBe(
      'revoked: gone.pem: the certificate of CN=gone,O=Team was revoked at TIME (keyCompromise)',
    );
    pki.authority('fallen', 'root');
    pki.issue('fallen', 'child');
    pki.revoke('root', 'fallen', 'CACompromise');
    const lists = [pki.crl('root', 'fallen-root.crl'), pki.crl('fallen', 'fallen.crl')];
    expect(await refusal(pki.join('child.pem', 'child.crt', 'fallen.crt'), { caFiles: [root], crlFiles: lists })).toBe(
      'revoked: child.pem: the certificate of CN=child,O=Team is of an issuer, CN=fallen,O=Team, who ' +
        'was revoked at TIME (cACompromise)',
    );
  });

  test('are needed for each issuer but the trusted one', async () => {
    expect(await refusal(bundle, { caFiles: [root], crlFiles: [interCrl] })).toBe(
      'revocation-unknown: bundle.pem: whether the certificate of CN=inter,O=Team is revoked cannot ' +
        'be told: there is no list of CN=root,O=Team',
    );
    expect(await refusal(bundle, { caFiles: [root], crlFiles: [rootCrl] })).toBe(
      'revocation-unknown: bundle.pem: whether the certificate of CN=P-256,O=Team is revoked cannot ' +
        'be told: there is no list of CN=inter,O=Team',
    );
    await check(bundle, { caFiles: [pki.path('inter.crt')], crlFiles: [interCrl] });
    const foreign = pki.crl('other', 'other.crl');
    expect(await refusal(bundle, { caFiles: [root], crlFiles: [rootCrl, foreign] })).toMatch(/^revocation-unknown/);
  });

  test('are of no use when they expired, are not valid yet, or are forged', async () => {
    const at = new Date(Date.now() + 40 * 86_400_000);
    expect(await refusal(bundle, { caFiles: [root], crlFiles: [rootCrl, interCrl], at })).toBe(
      'revocation-unknown: bundle.pem: whether the certificate of CN=P-256,O=Team is revoked cannot ' +
        'be told: the list of CN=inter,O=Team expired at TIME',
    );
    const past = new Date('2024-01-01T00:00:00Z');
    expect(await refusal(bundle, { caFiles: [root], crlFiles: [rootCrl, interCrl], at: past })).toBe(
      'revocation-unknown: bundle.pem: whether the certificate of CN=P-256,O=Team is revoked cannot ' +
        'be told: the list of CN=inter,O=Team does not count (CRL is not yet valid)',
    );
    const forger = new Pki();
    try {
      forger.authority('root');
      forger.authority('inter', 'root');
      expect(await refusal(bundle, { caFiles: [root], crlFiles: [rootCrl, forger.crl('inter', 'x.crl')] })).toBe(
        'revocation-unknown: bundle.pem: whether the certificate of CN=P-256,O=Team is revoked cannot ' +
          'be told: the list of CN=inter,O=Team does not count (CRL signature failure)',
      );
    } finally {
      forger.dispose();
    }
    const weak = pki.crl('inter', 'weak.crl', ['-crldays', '30', '-md', 'sha1']);
    expect(await refusal(bundle, { caFiles: [root], crlFiles: [rootCrl, weak] })).toBe(
      'revocation-unknown: weak.crl: the certificate revocation list of CN=inter,O=Team is signed ' +
        'with a weak digest',
    );
  });

  test('cannot tell about a certificate that is trusted by itself', async () => {
    const checks = { caFiles: [pki.path('P-256.crt')], crlFiles: [interCrl] };
    expect(await refusal(pki.path('P-256.crt'), checks)).toBe(
      'revocation-unknown: P-256.crt: whether the certificate of CN=P-256,O=Team is revoked cannot be ' +
        'told: its issuer CN=inter,O=Team is not among the trusted ones',
    );
    expect(await check(pki.path('own.crt'), { caFiles: [pki.path('own.crt')], crlFiles: [interCrl] })).toMatchObject({
      isRevocationChecked: false,
      overridden: [],
    });
  });
});

describe('what was named wrongly', () => {
  test.each([
    [{ ocsp: 'auto' }, 'revocation can be checked only with the certificates that are trusted'],
    [{ crlFiles: ['x'] }, 'revocation can be checked only with the certificates that are trusted'],
    [{ caFiles: ['x'], ocsp: 'http://u:p@h/' }, 'http://u:p@h/ is no address'],
  ] as const)('is refused: %j', async (checks, message) => {
    await expect(check(pki.path('P-256.crt'), checks)).rejects.toMatchObject({
      code: 'bad-argument',
      message: expect.stringContaining(message),
    });
  });

  test('is read to its end, but not beyond its bound, and may be a pipe', async () => {
    const comment = `${'#'.repeat(99)}\n`;
    writeFileSync(pki.path('long-root.pem'), comment.repeat(1000) + readFileSync(root, 'utf8'));
    await check(bundle, { caFiles: [pki.path('long-root.pem')] });
    writeFileSync(pki.path('huge'), comment.repeat(42_000));
    expect(await refusal(bundle, { caFiles: [pki.path('huge')] })).toBe(
      'not-a-certificate: huge: larger than 4194304 bytes',
    );
    execFileSync('mkfifo', [pki.path('fifo')]);
    const writer = spawn('sh', ['-c', 'cat "$1" > "$2"', 'sh', root, pki.path('fifo')]);
    await check(bundle, { caFiles: [pki.path('fifo')] });
    await once(writer, 'exit');
  });

  test('is refused by the name of the file', async () => {
    const [absent, key] = [pki.path('absent'), pki.path('P-256.key')];
    await expect(check(bundle, { caFiles: [absent] })).rejects.toMatchObject({ code: 'io', path: absent });
    await expect(check(bundle, { caFiles: [root], crlFiles: [absent] })).rejects.toMatchObject({
      code: 'io',
      path: absent,
    });
    expect(await refusal(bundle, { caFiles: [key] })).toBe('not-a-certificate: P-256.key: not a certificate');
    expect(await refusal(bundle, { caFiles: [root], crlFiles: [key] })).toBe(
      'revocation-unknown: P-256.key: not a certificate revocation list',
    );
    expect(readFileSync(key, 'latin1')).toContain('PRIVATE KEY');
  });
});
