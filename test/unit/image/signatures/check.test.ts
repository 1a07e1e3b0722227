import { createHmac, createPublicKey } from 'node:crypto';
import { generalVerify, importJWK } from 'jose';
import { describe, expect, test } from 'vitest';
import { CkptfsError } from '../../../../src/base/errors.ts';
import { thumbprint } from '../../../../src/crypto/public-key.ts';
import type { SignerTrust } from '../../../../src/crypto/signer.ts';
import type { Header } from '../../../../src/format/header.ts';
import { encodeSignatures, encodeStatement, signingInput } from '../../../../src/format/signatures.ts';
import { checkSignatures } from '../../../../src/image/signatures/check.ts';
import { signaturesFile, statementOf } from '../../../../src/image/signatures/sign.ts';
import { listSignatures } from '../../../../src/image/signatures/stored-signatures.ts';
import { MemoryStore } from '../../../support/memory-store.ts';
import { type SignerKind, signAs, type TestSigner, testSigner, trustIn } from '../../../support/signers.ts';

const header: Header = {
  imageId: Buffer.alloc(16, 7),
  cipher: 'aes-256-xts',
  chunkSize: 16384,
  slots: [],
  mac: Buffer.alloc(32),
};
const manifest = Buffer.from('the bytes of a manifest');
const statement = statementOf(header, 3, { bytes: manifest });
const at = new Date('2026-11-29T12:00:00Z');
const signer = testSigner();
const stranger = testSigner();

/** An image with these bytes as its signatures. */
function stored(signatures?: Uint8Array, bytes: Uint8Array = manifest): MemoryStore {
  const store = new MemoryStore();
  store.named.set('manifest', bytes);
  if (signatures !== undefined) store.named.set('signatures', signatures);
  return store;
}

/** The file with one signature, whose protected header and key a test chooses. */
function forged(protectedHeader: object, sign: (data: Buffer) => Buffer): Buffer {
  const text = Buffer.from(JSON.stringify(protectedHeader)).toString('base64url');
  const signature = sign(signingInput(text, statement)).toString('base64url');
  return encodeSignatures({ statement, signatures: [{ protected: text, signature }] });
}

async function refusal(store: MemoryStore, trust: SignerTrust = trustIn(signer), of: Header = header): Promise<string> {
  try {
    await checkSignatures(store, of, trust);
    return 'accepted';
  } catch (error) {
    if (!(error instanceof CkptfsError) || error.code !== 'untrusted') throw error;
    return `${error.data?.reason}: ${error.message}`;
  }
}

describe('a signature', () => {
  test.each<[SignerKind, string]>([
    ['ed25519', 'EdDSA'],
    ['P-256', 'ES256'],
    ['P-384', 'ES384'],
    ['rsa', 'PS256'],
  ])('of %s is %s, accepted, and verified by jose', async (kind, alg) => {
    const one = testSigner(kind);
    const file = signaturesFile(statement, [one], [], at);
    const store = stored(file);
    expect(await checkSignatures(store, header, trustIn(one))).toMatchObject({
      imageId: header.imageId.toString('hex'),
      epoch: 3,
      signer: one.keyId,
      algorithm: alg,
      signedAt: '2026-11-29T12:00:00Z',
      manifestDigest: Uint8Array.from(statement.manifestDigest),
    });
    const key = await importJWK({ ...one.publicJwk }, alg);
    const { payload, protectedHeader } = await generalVerify(JSON.parse(file.toString()), key);
    expect(Buffer.from(payload)).toEqual(encodeStatement(statement));
    expect(protectedHeader).toEqual({ alg, kid: one.keyId, iat: at.getTime() / 1000 });
    expect(listSignatures(store)).toEqual([{ algorithm: alg, signer: one.keyId, signedAt: '2026-11-29T12:00:00Z' }]);
  });

  test('one of several is enough, wherever it stands, and those of others are ignored', async () => {
    const others = Array.from({ length: 15 }, () => stranger);
    const all = others.map((one) => signaturesFile(statement, [one], [], at));
    const kept = all.flatMap((file) => JSON.parse(file.toString()).signatures);
    expect(await refusal(stored(signaturesFile(statement, [signer], kept, at)))).toBe('accepted');
  });

  test('of the same key takes the place of the one before, and the seventeenth is refused', () => {
    const first = JSON.parse(signaturesFile(statement, [signer, stranger], [], at).toString()).signatures;
    const again = JSON.parse(signaturesFile(statement, [signer], first, new Date()).toString()).signatures;
    expect(again).toHaveLength(2);
    expect(again[0]).toEqual(first[1]);
    const seventeen = Array.from({ length: 17 }, () => signer);
    expect(() => signaturesFile(statement, seventeen)).toThrow('at most 16');
  });
});

describe('is refused:', () => {
  const good = signaturesFile(statement, [signer], [], at);

  test('an image without signatures, or with others in their place', async () => {
    expect(await refusal(stored())).toBe('unsigned: memory is not signed');
    expect(await refusal(stored(Buffer.from('{}')))).toMatch(/^altered: memory has signatures that cannot be read/);
    expect(await refusal(stored(Buffer.alloc(1_048_577, 0x20)))).toMatch(/^altered: .*longer than 1048576 bytes/);
  });

  test('a signature of someone else', async () => {
    expect(await refusal(stored(good), trustIn(stranger))).toMatch(
      `foreign: memory is signed by no one who is trusted, but by ${signer.keyId}`,
    );
  });

  test('another manifest, header or image', async () => {
    expect(await refusal(stored(good, Buffer.from('another')))).toMatch(/^altered: .* its manifest is another$/);
    expect(await refusal(stored(good), undefined, { ...header, cipher: 'none' })).toMatch(
      /^altered: .* its header is another$/,
    );
    expect(await refusal(stored(good), undefined, { ...header, imageId: Buffer.alloc(16, 8) })).toMatch(
      `foreign: memory has the signatures of another image, ${'07'.repeat(16)}`,
    );
  });

  test('slots and MAC of the header may be others', async () => {
    expect(await refusal(stored(good), undefined, { ...header, mac: Buffer.alloc(32, 9) })).toBe('accepted');
  });

  test('a changed epoch, because the statement is signed', async () => {
    const file = JSON.parse(good.toString());
    const changed = encodeSignatures({ statement: { ...statement, epoch: 4 }, signatures: file.signatures });
    expect(await refusal(stored(changed))).toMatch(/^altered: memory has a signature that is not of a test$/);
  });

  test('a kid that lies', async () => {
    const { privateKey } = stranger;
    const file = forged({ alg: 'EdDSA', kid: signer.keyId, iat: 1 }, (data) => signAs('EdDSA', data, privateKey));
    expect(await refusal(stored(file))).toMatch(/^altered: memory has a signature that is not of a test$/);
  });

  test.each<[string, object]>([
    ['alg none', { alg: 'none', kid: signer.keyId, iat: 1 }],
    ['an unknown alg', { alg: 'RS256', kid: signer.keyId, iat: 1 }],
    ['no kid', { alg: 'EdDSA', iat: 1 }],
    ['no iat', { alg: 'EdDSA', kid: signer.keyId }],
    ['iat with a fraction', { alg: 'EdDSA', kid: signer.keyId, iat: 1.5 }],
    ['crit', { alg: 'EdDSA', kid: signer.keyId, iat: 1, crit: ['b64'], b64: false }],
    ['an embedded jwk', { alg: 'EdDSA', kid: signer.keyId, iat: 1, jwk: signer.publicJwk }],
    ['jku', { alg: 'EdDSA', kid: signer.keyId, iat: 1, jku: 'https://example.com/' }],
    ['nine certificates', { alg: 'EdDSA', kid: signer.keyId, iat: 1, x5c: Array(9).fill('AAAA') }],
    ['x5c in base64url', { alg: 'EdDSA', kid: signer.keyId, iat: 1, x5c: ['_-_-'] }],
    ['no object', []],
  ])('a signature with %s, although its value is right', async (_, parameters) => {
    const file = forged(parameters, (data) => signAs('EdDSA', data, signer.privateKey));
    expect(await refusal(stored(file))).toBe('foreign: memory is signed by no one who is trusted');
    expect(listSignatures(stored(file))).toEqual([]);
  });

  test('HS256 with the public key as the secret', async () => {
    const rsa = testSigner('rsa');
    const secret = createPublicKey(rsa.privateKey).export({ type: 'spki', format: 'pem' });
    const sign = (data: Buffer) => createHmac('sha256', secret).update(data).digest();
    expect(await refusal(stored(forged({ alg: 'HS256', kid: rsa.keyId, iat: 1 }, sign)), trustIn(rsa))).toMatch(
      /^foreign/,
    );
    expect(await refusal(stored(forged({ alg: 'PS256', kid: rsa.keyId, iat: 1 }, sign)), trustIn(rsa))).toMatch(
      /^altered/,
    );
  });

  test('an algorithm that does not fit the key', async () => {
    const one: TestSigner = testSigner('P-256');
    const file = forged({ alg: 'ES384', kid: thumbprint(one.publicJwk), iat: 1 }, (data) =>
      signAs('ES384', data, one.privateKey),
    );
    expect(await refusal(stored(file), trustIn(one))).toMatch(/^altered/);
  });
});
