// Goal: private keys that OpenSSL holds decrypt, agree and sign as those of Node do, and refuse what they must.
import {
  constants,
  createPrivateKey,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
  publicEncrypt,
  randomBytes,
} from 'node:crypto';
import fc from 'fast-check';
import { CompactSign, compactVerify, importJWK } from 'jose';
import { describe, expect, test, vi } from 'vitest';
import { keyFromParameters, SELECTION } from '../../../src/crypto/key-parameters.ts';
import { KeyProblem } from '../../../src/crypto/key-problem.ts';
import { PrivateKey } from '../../../src/crypto/private-key.ts';
import {
  type NistCurve,
  type PublicJwk,
  publicJwkOf,
  type SignatureAlgorithm,
  thumbprint,
  verifySignature,
  x25519Of,
} from '../../../src/crypto/public-key.ts';
import { Secret } from '../../../src/crypto/secret.ts';

const curves: NistCurve[] = ['P-256', 'P-384', 'P-521'];

function bytes(text: string | undefined): Buffer {
  return Buffer.from(text ?? '', 'base64url');
}

/** Makes our key of the numbers of one of Node. */
function ours(key: KeyObject): PrivateKey {
  const jwk = key.export({ format: 'jwk' });
  if (jwk.kty === 'RSA') {
    const [n, e, d, p, q, dp, dq, qi] = [jwk.n, jwk.e, jwk.d, jwk.p, jwk.q, jwk.dp, jwk.dq, jwk.qi].map(bytes);
    if (!(n && e && d && p && q && dp && dq && qi)) throw new Error('an RSA key without its numbers');
    return PrivateKey.rsa({ n, e, d, p, q, dp, dq, qi });
  }
  if (jwk.kty === 'EC') return PrivateKey.ec(jwk.crv as NistCurve, bytes(jwk.d));
  return jwk.crv === 'X25519' ? PrivateKey.x25519(bytes(jwk.d)) : PrivateKey.ed25519(bytes(jwk.d));
}

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });

describe('the public part is what Node says it is', () => {
  test('RSA', () => {
    expect(ours(rsa.privateKey).publicJwk).toEqual(publicJwkOf(rsa.publicKey));
  });

  test.each(curves)('%s', (namedCurve) => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve });
    expect(ours(privateKey).publicJwk).toEqual(publicJwkOf(publicKey));
  });

  test('X25519 and Ed25519', () => {
    for (const { privateKey, publicKey } of [generateKeyPairSync('x25519'), generateKeyPairSync('ed25519')]) {
      expect(ours(privateKey).publicJwk).toEqual(publicJwkOf(publicKey));
    }
  });
});

describe('numbers that are no key', () => {
  test.each(curves)('%s: a scalar of zero, of the order, and of more bytes than it has', (curve) => {
    const size = { 'P-256': 32, 'P-384': 48, 'P-521': 66 }[curve];
    for (const scalar of [Buffer.alloc(0), Buffer.alloc(size), Buffer.alloc(size, 0xff), Buffer.alloc(size + 1, 1)]) {
      expect(() => PrivateKey.ec(curve, scalar)).toThrow(KeyProblem);
    }
    expect(PrivateKey.ec(curve, Buffer.of(1)).publicJwk.kty).toBe('EC');
  });

  test('X25519 and Ed25519 of another size', () => {
    for (const size of [0, 31, 33]) {
      expect(() => PrivateKey.x25519(Buffer.alloc(size))).toThrow(KeyProblem);
      expect(() => PrivateKey.ed25519(Buffer.alloc(size))).toThrow(KeyProblem);
    }
  });

  test('RSA: too small, too large, even, or with a private exponent that is missing or too long', () => {
    const { n, e, d } = rsa.privateKey.export({ format: 'jwk' });
    const right = { n: bytes(n), e: bytes(e), d: bytes(d) };
    expect(PrivateKey.rsa(right).publicJwk).toEqual(publicJwkOf(rsa.publicKey));
    const even = Buffer.from(right.n.map((byte, at) => (at === 255 ? byte & 0xfe : byte)));
    const wrong = [
      { ...right, n: right.n.subarray(1) },
      { ...right, n: Buffer.alloc(2049, 0xff) },
      { ...right, n: even },
      { ...right, n: Buffer.alloc(0) },
      { ...right, e: Buffer.of(1) },
      { ...right, e: Buffer.of(2) },
      { ...right, e: Buffer.alloc(9, 1) },
      { ...right, d: Buffer.alloc(0) },
      { ...right, d: Buffer.alloc(257, 1) },
    ];
    for (const components of wrong) expect(() => PrivateKey.rsa(components)).toThrow(KeyProblem);
  });

  test('RSA: only some of the numbers of the factors', () => {
    const jwk = rsa.privateKey.export({ format: 'jwk' });
    const [n, e, d] = [bytes(jwk.n), bytes(jwk.e), bytes(jwk.d)];
    const zero = Buffer.alloc(0);
    const factors = { p: bytes(jwk.p), q: bytes(jwk.q), dp: bytes(jwk.dp), dq: bytes(jwk.dq), qi: bytes(jwk.qi) };
    for (const name of Object.keys(factors)) {
      expect(() => PrivateKey.rsa({ n, e, d, ...factors, [name]: zero })).toThrow(KeyProblem);
    }
    expect(() => PrivateKey.rsa({ n, e, d, p: factors.p, q: factors.q })).toThrow(KeyProblem);
    const zeros = { p: zero, q: zero, dp: zero, dq: zero, qi: zero };
    expect(PrivateKey.rsa({ n, e, d, ...zeros }).publicJwk).toEqual(publicJwkOf(rsa.publicKey));
  });

  test('leave no copy of a number when another cannot be copied', () => {
    const copy = vi.spyOn(Secret, 'copy');
    const numbers = { d: Buffer.of(1), p: Buffer.alloc(0) };
    expect(() => keyFromParameters('RSA', SELECTION.keyPair, { numbers })).toThrow('a secret of 0 bytes');
    const made = copy.mock.results.flatMap(({ type, value }): Secret[] => (type === 'return' ? [value] : []));
    copy.mockRestore();
    expect(made).toHaveLength(1);
    for (const secret of made) expect(() => secret.bytes).toThrow('after it was wiped');
  });
});

describe('RSA-OAEP-256', () => {
  const wrap = (content: Uint8Array, oaepHash = 'sha256'): Buffer =>
    publicEncrypt({ key: rsa.publicKey, oaepHash, padding: constants.RSA_PKCS1_OAEP_PADDING }, content);
  const { n, e, d } = rsa.privateKey.export({ format: 'jwk' });
  const keys = [ours(rsa.privateKey), PrivateKey.rsa({ n: bytes(n), e: bytes(e), d: bytes(d) })];

  test.each([1, 32, 190])('decrypts %i bytes, with and without the factors', (size) => {
    const content = randomBytes(size);
    for (const key of keys) expect(Buffer.from(key.decryptOaep256(wrap(content))?.bytes ?? [])).toEqual(content);
  });

  test('what was encrypted otherwise, or is damaged, or is of another size, does not open', () => {
    const [key] = keys;
    const right = wrap(randomBytes(32));
    const flipped = Buffer.from(right.map((byte, at) => (at === 100 ? byte ^ 1 : byte)));
    const pkcs1 = publicEncrypt({ key: rsa.publicKey, padding: constants.RSA_PKCS1_PADDING }, randomBytes(32));
    const wrong = [
      wrap(randomBytes(32), 'sha1'),
      pkcs1,
      flipped,
      right.subarray(1),
      Buffer.alloc(257),
      Buffer.alloc(0),
    ];
    for (const bad of [...wrong, Buffer.alloc(256), Buffer.alloc(256, 0xff)]) {
      expect(key?.decryptOaep256(bad)).toBeUndefined();
    }
  });
});

describe('RSA with PKCS#1 v1.5', () => {
  const wrap = (content: Uint8Array): Buffer =>
    publicEncrypt({ key: rsa.publicKey, padding: constants.RSA_PKCS1_PADDING }, content);
  const key = ours(rsa.privateKey);

  test.each([1, 32, 64, 245])('decrypts %i bytes', (size) => {
    const content = randomBytes(size);
    expect(Buffer.from(key.decryptPkcs1(wrap(content))?.bytes ?? [])).toEqual(content);
  });

  test('a wrong padding gives no bytes of chance', () => {
    // What is damaged has a right padding in one of some hundred thousand cases, so the padding itself is made here.
    const padded = (...start: readonly number[]): Buffer =>
      Buffer.concat([Buffer.of(...start), Buffer.alloc(256, 1)], 256);
    const paddings = {
      'does not begin with 0': padded(1, 2, 3, 3, 3, 3, 3, 3, 3, 3, 0),
      'is that of a signature': padded(0, 1, 3, 3, 3, 3, 3, 3, 3, 3, 0),
      'is one byte too short': padded(0, 2, 3, 3, 3, 3, 3, 3, 3, 0),
      'has no end': padded(0, 2),
    };
    for (const [name, block] of Object.entries(paddings)) {
      const wrapped = publicEncrypt({ key: rsa.publicKey, padding: constants.RSA_NO_PADDING }, block);
      expect(key.decryptPkcs1(wrapped), name).toBeUndefined();
    }
    const right = padded(0, 2, 3, 3, 3, 3, 3, 3, 3, 3, 0);
    const wrapped = publicEncrypt({ key: rsa.publicKey, padding: constants.RSA_NO_PADDING }, right);
    expect(key.decryptPkcs1(wrapped)).toHaveLength(245);
  });

  test('what is damaged, or for another key, does not give its content', () => {
    const content = randomBytes(32);
    const right = wrap(content);
    const flipped = right.map((byte, index) => (index === 100 ? byte ^ 1 : byte));
    const another = ours(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey);
    for (const given of [key.decryptPkcs1(flipped), another.decryptPkcs1(right)]) {
      expect(content.equals(given?.bytes ?? Buffer.alloc(0))).toBe(false);
    }
  });

  test('what is of another size, or no number below the modulus, does not open', () => {
    const right = wrap(randomBytes(32));
    const wrong = [right.subarray(1), Buffer.alloc(257), Buffer.alloc(0), Buffer.alloc(256, 0xff)];
    for (const bad of wrong) expect(key.decryptPkcs1(bad)).toBeUndefined();
    expect(() => PrivateKey.x25519(randomBytes(32)).decryptPkcs1(right)).toThrow('needs an RSA key');
  });
});

describe('agreement', () => {
  test.each(curves)('%s: the secret of Node', (namedCurve) => {
    for (let i = 0; i < 20; i++) {
      const [own, peer] = [generateKeyPairSync('ec', { namedCurve }), generateKeyPairSync('ec', { namedCurve })];
      const secret = diffieHellman({ privateKey: own.privateKey, publicKey: peer.publicKey });
      const agreed = ours(own.privateKey).agree(publicJwkOf(peer.publicKey));
      expect(Buffer.from(agreed?.bytes ?? [])).toEqual(secret);
    }
  });

  test('X25519: the secret of Node', () => {
    const [own, peer] = [generateKeyPairSync('x25519'), generateKeyPairSync('x25519')];
    const secret = diffieHellman({ privateKey: own.privateKey, publicKey: peer.publicKey });
    expect(Buffer.from(ours(own.privateKey).agree(publicJwkOf(peer.publicKey))?.bytes ?? [])).toEqual(secret);
  });

  test.each(curves)('%s: any point that is not on the curve is refused', (crv) => {
    const size = { 'P-256': 32, 'P-384': 48, 'P-521': 66 }[crv];
    const key = PrivateKey.ec(crv, Buffer.of(7));
    const coordinate = fc
      .uint8Array({ minLength: size, maxLength: size })
      .map((b) => Buffer.from(b).toString('base64url'));
    fc.assert(
      fc.property(coordinate, coordinate, (x, y) => {
        expect(key.agree({ kty: 'EC', crv, x, y })).toBeUndefined();
      }),
      { numRuns: 100 },
    );
    const zero = Buffer.alloc(size).toString('base64url');
    const { kty, x, y } = key.publicJwk as Extract<PublicJwk, { kty: 'EC' }>;
    const long = Buffer.alloc(size + 1).toString('base64url');
    for (const [px, py] of [
      [zero, zero],
      [x, zero],
      [x, x],
      [long, y],
      [x, long],
      ['', ''],
    ] as const) {
      expect(key.agree({ kty, crv, x: px, y: py })).toBeUndefined();
    }
  });

  // The points of small order (https://cr.yp.to/ecdh.html#validate), each of which gives zeros.
  test.each([
    '0000000000000000000000000000000000000000000000000000000000000000',
    '0100000000000000000000000000000000000000000000000000000000000000',
    'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
    '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  ])('X25519: a secret of zeros is refused (%s)', (point) => {
    const x = Buffer.from(point, 'hex').toString('base64url');
    expect(PrivateKey.x25519(randomBytes(32)).agree({ kty: 'OKP', crv: 'X25519', x })).toBeUndefined();
  });

  test('a peer of another curve is refused', () => {
    const peers = [...curves.map((curve) => PrivateKey.ec(curve, Buffer.of(5))), PrivateKey.x25519(randomBytes(32))];
    for (const own of peers) {
      for (const peer of peers) expect(own.agree(peer.publicJwk) === undefined).toBe(own !== peer);
    }
    for (const own of peers) expect(own.agree(publicJwkOf(rsa.publicKey))).toBeUndefined();
  });
});

describe('an Ed25519 key as an X25519 key', () => {
  test('its two parts fit each other', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (seed) => {
        const key = PrivateKey.ed25519(seed);
        const [own, jwk] = [key.asX25519(), key.publicJwk];
        expect(jwk.kty === 'OKP' ? x25519Of(jwk) : undefined).toEqual(own.publicJwk);
        for (const each of [key, own]) each.dispose();
      }),
      { numRuns: 30 },
    );
  });

  // As the age project has it, in the tests of filippo.io/edwards25519 (BytesMontgomery).
  test('a known key', () => {
    const x = Buffer.from('3bf918ffc2c955dc895bf145f566fb96623c1cadbe040091175764b5fde322c0', 'hex');
    const known = x25519Of({ kty: 'OKP', crv: 'Ed25519', x: x.toString('base64url') });
    expect(Buffer.from(known?.x ?? '', 'base64url').toString('hex')).toBe(
      'efc6c9d0738e9ea18d738ad4a2653631558931b0f1fde4dd58c436d19686dc28',
    );
  });

  test('the neutral point and numbers above the prime have none', () => {
    for (const first of [1, 0xed, 0xee, 0xff]) {
      const x = Buffer.alloc(32, first === 1 ? 0 : 0xff);
      x[0] = first;
      expect(x25519Of({ kty: 'OKP', crv: 'Ed25519', x: x.toString('base64url') })).toBeUndefined();
    }
  });
});

describe('signatures', () => {
  const made: [SignatureAlgorithm, { privateKey: KeyObject; publicKey: KeyObject }][] = [
    ['EdDSA', generateKeyPairSync('ed25519')],
    ['ES256', generateKeyPairSync('ec', { namedCurve: 'P-256' })],
    ['ES384', generateKeyPairSync('ec', { namedCurve: 'P-384' })],
    ['PS256', rsa],
  ];

  test.each(made)('%s: jose verifies ours, and we verify those of jose', async (alg, { privateKey, publicKey }) => {
    const key = ours(privateKey);
    for (let i = 0; i < 20; i++) {
      const payload = randomBytes(i);
      const input = `${Buffer.from(JSON.stringify({ alg })).toString('base64url')}.${payload.toString('base64url')}`;
      const signature = key.sign(alg, Buffer.from(input));
      expect(verifySignature(key.publicJwk, alg, Buffer.from(input), signature)).toBe(true);
      const verified = await compactVerify(`${input}.${signature.toString('base64url')}`, publicKey);
      expect(Buffer.from(verified.payload)).toEqual(payload);
      const jws = await new CompactSign(payload).setProtectedHeader({ alg }).sign(privateKey);
      const [head, body, theirs] = jws.split('.');
      expect(verifySignature(key.publicJwk, alg, Buffer.from(`${head}.${body}`), bytes(theirs))).toBe(true);
    }
  });

  test.each(made)('%s: another signature, key, algorithm or text is refused', (alg, { privateKey }) => {
    const key = ours(privateKey);
    const data = randomBytes(100);
    const signature = key.sign(alg, data);
    const flipped = Buffer.from(signature.map((byte, at) => (at === 5 ? byte ^ 1 : byte)));
    for (const wrong of [flipped, signature.subarray(1), Buffer.alloc(0), Buffer.concat([signature, Buffer.of(0)])]) {
      expect(verifySignature(key.publicJwk, alg, data, wrong)).toBe(false);
    }
    expect(verifySignature(key.publicJwk, alg, data.subarray(1), signature)).toBe(false);
    for (const [other, pair] of made) {
      if (other === alg) continue;
      expect(verifySignature(key.publicJwk, other, data, signature)).toBe(false);
      expect(verifySignature(publicJwkOf(pair.publicKey), alg, data, signature)).toBe(false);
      expect(() => key.sign(other, data)).toThrow();
    }
  });

  test('a public key that is not on its curve verifies nothing', () => {
    const x = Buffer.alloc(32, 1).toString('base64url');
    expect(verifySignature({ kty: 'EC', crv: 'P-256', x, y: x }, 'ES256', Buffer.of(1), Buffer.alloc(64, 1))).toBe(
      false,
    );
  });
});

test('a key that was disposed of is used no more', () => {
  const key = PrivateKey.x25519(randomBytes(32));
  key.dispose();
  key.dispose();
  expect(() => key.agree(key.publicJwk)).toThrow('after it was wiped');
});

test('Node still makes and uses keys after failures: no error is left in OpenSSL', async () => {
  const key = PrivateKey.ec('P-256', Buffer.of(7));
  const zero = Buffer.alloc(32).toString('base64url');
  key.agree({ kty: 'EC', crv: 'P-256', x: zero, y: zero });
  ours(rsa.privateKey).decryptOaep256(Buffer.alloc(256));
  ours(rsa.privateKey).decryptPkcs1(Buffer.alloc(256));
  const jwk = rsa.privateKey.export({ format: 'jwk' });
  expect(createPrivateKey({ key: jwk, format: 'jwk' }).type).toBe('private');
  await importJWK(jwk, 'RSA-OAEP-256');
  expect(thumbprint(key.publicJwk)).toHaveLength(43);
});
