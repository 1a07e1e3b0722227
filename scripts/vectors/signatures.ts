/** The signatures of docs/format.md §9, from node:crypto alone. */
import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto';
import { filler } from './encode.ts';
import { CHUNK_SIZE, imageId } from './sample.ts';
import { jsonText } from './seal.ts';
import { KNOWN_SIGNATURES } from './signatures-known.ts';
import type { NamedVectors, Packed, SignaturesVector } from './vector.ts';

const manifest = filler('the file that is signed', 64);
const sha256 = (bytes: Buffer | string): string => createHash('sha256').update(bytes).digest('base64url');
const base64url = (text: string): string => Buffer.from(text).toString('base64url');

/** PKCS #8 of an Ed25519 key before its 32 bytes. */
const ED25519 = Buffer.from('302e020100300506032b657004220420', 'hex');
const key = ed25519('signer');
const jwk = publicOf(key);
const kid = thumbprint(jwk);

/** Members of a good statement in their order. */
const statement = {
  format: 'ckptfs signature',
  version: 1,
  image: imageId.toString('hex'),
  epoch: 3,
  header: sha256(
    jsonText({ format: 'ckptfs', version: 1, image: imageId.toString('hex'), cipher: 'none', chunkSize: CHUNK_SIZE }),
  ),
  manifest: sha256(manifest),
};
const parameters = { alg: 'EdDSA', kid, iat: 1_795_953_600 };

function ed25519(label: string): KeyObject {
  return createPrivateKey({ key: Buffer.concat([ED25519, filler(label, 32)]), format: 'der', type: 'pkcs8' });
}

function publicOf(privateKey: KeyObject): Readonly<Record<string, string>> {
  const { kty, crv, x } = createPublicKey(privateKey).export({ format: 'jwk' });
  return { kty: kty ?? '', crv: crv ?? '', x: x ?? '' };
}

function thumbprint({ crv, kty, x }: Readonly<Record<string, string>>): string {
  return sha256(JSON.stringify({ crv, kty, x }));
}

/** The bytes of the file. */
function file(header: object = parameters, said: object = statement, signer = key): string {
  const payload = base64url(JSON.stringify(said));
  const protectedHeader = base64url(JSON.stringify(header));
  const signature = sign(null, Buffer.from(`${protectedHeader}.${payload}`), signer).toString('base64url');
  return jsonText({ payload, signatures: [{ protected: protectedHeader, signature }] });
}

const given = {
  kind: 'signatures',
  imageId: imageId.toString('hex'),
  cipher: 'none',
  chunkSize: CHUNK_SIZE,
  manifest: [manifest.toString('hex')],
} as const;

function accepted(description: string, text: string): SignaturesVector {
  const expected = { epoch: 3, algorithm: 'EdDSA', signer: kid };
  return { ...given, description, stage: 'ok', signer: jwk, input: [{ text }], expected };
}

function refused(description: string, reason: string, input: string | Packed): SignaturesVector {
  const packed = typeof input === 'string' ? [{ text: input }] : input;
  const expected = { code: 'untrusted', message: reason };
  return { ...given, description, stage: 'signatures', signer: jwk, input: packed, expected };
}

function ignored(description: string, header: object): SignaturesVector {
  return refused(description, 'is signed by no one who is trusted', file(header));
}

function unreadable(description: string, input: string | Packed): SignaturesVector {
  return refused(description, 'has signatures that cannot be read', input);
}

const good = file();
const others = Array.from({ length: 16 }, (_, at) => JSON.parse(file({ ...parameters, iat: at })).signatures[0]);
const sixteen = jsonText({ payload: JSON.parse(good).payload, signatures: others });

export const signaturesVectors: NamedVectors = {
  ed25519: accepted('a signature by Ed25519', good),
  certificates: accepted('a certificate that is not needed', file({ ...parameters, x5c: ['AAAA'] })),
  'parameter-order': accepted('parameters in another order', file({ iat: 1, kid, alg: 'EdDSA' })),
  sixteen: accepted('as many signatures as there can be', sixteen),
  ...Object.fromEntries(
    KNOWN_SIGNATURES.map(({ signer, input, algorithm, kid: of }): [string, SignaturesVector] => [
      algorithm.toLowerCase(),
      {
        ...accepted(`a signature by ${algorithm}, made once by OpenSSL`, input),
        signer,
        expected: { epoch: 3, algorithm, signer: of },
      },
    ]),
  ),

  seventeen: unreadable('one signature too many', sixteen.replace('"signatures": [', '"signatures": [{},')),
  empty: unreadable('an empty file', []),
  'too-long': unreadable('one byte too many', [{ zeros: 1_048_577 }]),
  'one-line': unreadable('without indentation', `${JSON.stringify(JSON.parse(good))}\n`),
  'line-feed-missing': unreadable('no line feed at the end', good.slice(0, -1)),
  'member-unknown': unreadable('a further member', good.replace('{\n', '{\n  "header": {},\n')),
  'signatures-none': unreadable('no signature', jsonText({ ...JSON.parse(good), signatures: [] })),
  'statement-version': unreadable('another version of the statement', file(parameters, { ...statement, version: 2 })),
  'statement-space': unreadable('white space in the statement', withPayload(JSON.stringify(statement, null, 1))),
  'statement-epoch-0': unreadable('epoch 0', file(parameters, { ...statement, epoch: 0 })),
  'statement-member': unreadable('a further member of the statement', file(parameters, { ...statement, more: 1 })),

  'image-other': refused(
    'the statement of another image',
    'has the signatures of another image',
    file(parameters, { ...statement, image: '0'.repeat(32) }),
  ),
  'header-other': refused(
    'the digest of another header',
    'its header is another',
    file(parameters, { ...statement, header: sha256('another') }),
  ),
  'manifest-other': refused(
    'the digest of another manifest',
    'its manifest is another',
    file(parameters, { ...statement, manifest: sha256('another') }),
  ),
  'signature-of-another': refused(
    'a kid that lies',
    'has a signature that is not of',
    file(parameters, statement, ed25519('another signer')),
  ),
  'epoch-changed': refused(
    'the epoch was changed after signing',
    'has a signature that is not of',
    withPayload(JSON.stringify({ ...statement, epoch: 4 })),
  ),
  'signer-other': refused(
    'a signature of another key, under its own name',
    'is signed by no one who is trusted',
    file({ ...parameters, kid: thumbprint(publicOf(ed25519('another signer'))) }, statement, ed25519('another signer')),
  ),
  'alg-none': ignored('alg none', { ...parameters, alg: 'none' }),
  'alg-hs256': ignored('an alg that is symmetric', { ...parameters, alg: 'HS256' }),
  'alg-rs256': ignored('an alg that is not used', { ...parameters, alg: 'RS256' }),
  crit: ignored('a parameter crit', { ...parameters, crit: ['b64'], b64: true }),
  jwk: ignored('an embedded key', { ...parameters, jwk }),
  'iat-missing': ignored('no iat', { alg: 'EdDSA', kid }),
  'kid-missing': ignored('no kid', { alg: 'EdDSA', iat: 1 }),
  'certificates-nine': ignored('nine certificates', { ...parameters, x5c: Array(9).fill('AAAA') }),
};

/** The good file with another payload under the same signature. */
function withPayload(text: string): string {
  return jsonText({ ...JSON.parse(good), payload: base64url(text) });
}
