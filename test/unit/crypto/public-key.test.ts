import { generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { calculateJwkThumbprint } from 'jose';
import { describe, expect, test } from 'vitest';
import { PrivateKey } from '../../../src/crypto/private-key.ts';
import { publicJwkOf, readPublicJwk, rsaBits, thumbprint } from '../../../src/crypto/public-key.ts';

const rsa = publicJwkOf(generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey);
const ec = publicJwkOf(generateKeyPairSync('ec', { namedCurve: 'P-521' }).publicKey);
const okp = publicJwkOf(generateKeyPairSync('x25519').publicKey);

describe('thumbprint', () => {
  test('the example of RFC 7638 §3.1', () => {
    const n =
      '0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3okn' +
      'jhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qM' +
      'QvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJ' +
      'zKnqDKgw';
    expect(thumbprint({ kty: 'RSA', n, e: 'AQAB' })).toBe('NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs');
  });

  test.each([rsa, ec, okp])('that of jose ($kty)', async (jwk) => {
    expect(thumbprint(jwk)).toBe(await calculateJwkThumbprint({ ...jwk }));
  });
});

describe('readPublicJwk', () => {
  test.each([rsa, ec, okp])('reads what was written, with its members in any order ($kty)', (jwk) => {
    expect(readPublicJwk(JSON.parse(JSON.stringify(jwk)))).toEqual(jwk);
    expect(readPublicJwk(Object.fromEntries(Object.entries(jwk).reverse()))).toEqual(jwk);
  });

  test.each([rsa, ec, okp])('refuses another member, a missing one, and another size ($kty)', (jwk) => {
    expect(readPublicJwk({ ...jwk, d: 'AQAB' })).toBeUndefined();
    for (const name of Object.keys(jwk)) {
      const { [name]: _left, ...rest } = jwk as unknown as Record<string, string>;
      expect(readPublicJwk(rest)).toBeUndefined();
      for (const value of ['', 'A', 'AA=', 'AB', '!', 5, null, ['AQAB'], 'A'.repeat(100_000)]) {
        expect(readPublicJwk({ ...jwk, [name]: value })).toBeUndefined();
      }
    }
  });

  test('refuses coordinates with a byte more or less', () => {
    const x = (size: number): string => Buffer.alloc(size, 1).toString('base64url');
    expect(readPublicJwk({ kty: 'EC', crv: 'P-256', x: x(32), y: x(32) })).toBeDefined();
    for (const size of [31, 33, 64]) {
      expect(readPublicJwk({ kty: 'EC', crv: 'P-256', x: x(size), y: x(32) })).toBeUndefined();
      expect(readPublicJwk({ kty: 'EC', crv: 'P-256', x: x(32), y: x(size) })).toBeUndefined();
      expect(readPublicJwk({ kty: 'OKP', crv: 'X25519', x: x(size) })).toBeUndefined();
    }
    expect(readPublicJwk({ kty: 'EC', crv: 'toString', x: x(32), y: x(32) })).toBeUndefined();
  });

  test('refuses RSA numbers with leading zeros, even ones, and sizes out of range', () => {
    const n = (size: number, first = 0xff, last = 0xff): string => {
      const bytes = Buffer.alloc(size, 0xff);
      bytes[0] = first;
      bytes[size - 1] = last;
      return bytes.toString('base64url');
    };
    const read = (modulus: string, e = 'AQAB') => readPublicJwk({ kty: 'RSA', n: modulus, e });
    for (const right of [n(256), n(256, 0x80), n(257, 1), n(2048)]) expect(read(right)).toBeDefined();
    for (const wrong of [n(256, 0x7f), n(257, 0), n(2049, 1), n(256, 0xff, 0xfe)]) expect(read(wrong)).toBeUndefined();
    for (const e of ['Aw', 'AQAB']) expect(read(n(256), e)).toBeDefined();
    for (const e of ['AA', 'AQ', 'Ag', 'AAAD', n(9)]) expect(read(n(256), e)).toBeUndefined();
  });

  test('answers anything', () => {
    fc.assert(fc.property(fc.anything(), (value) => readPublicJwk(value) === undefined));
  });
});

test.each([2048, 3072])('an RSA key of %i bits', (modulusLength) => {
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength });
  const jwk = publicJwkOf(publicKey);
  expect(jwk.kty === 'RSA' && rsaBits(jwk)).toBe(modulusLength);
});

test('keys of another kind, curve or size are refused', () => {
  const pairs = [
    generateKeyPairSync('rsa', { modulusLength: 1024 }),
    generateKeyPairSync('rsa-pss', { modulusLength: 2048 }),
    generateKeyPairSync('ec', { namedCurve: 'secp256k1' }),
    generateKeyPairSync('ed448'),
    generateKeyPairSync('x448'),
  ];
  for (const { publicKey } of pairs) expect(() => publicJwkOf(publicKey)).toThrow(/is an? (RSA key|EC key|key)/);
  expect(PrivateKey.ed25519(Buffer.alloc(32)).publicJwk.kty).toBe('OKP');
});
