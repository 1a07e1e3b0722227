import { expect, test } from 'vitest';
import { type CipherName, cipherNames } from '../../../src/format/ciphers.ts';
import { checkSuite, ciphersOf, isSlotOfSuite, isSuiteName, suiteNames } from '../../../src/format/suites.ts';

function slot(parameters: object) {
  const protectedText = Buffer.from(JSON.stringify(parameters)).toString('base64url');
  return { protected: protectedText, encrypted_key: 'AA', iv: 'AA', ciphertext: 'AA', tag: 'AA' };
}

test('a suite has ciphers, the default one all of them', () => {
  expect(suiteNames.filter(isSuiteName)).toEqual(suiteNames);
  expect(isSuiteName('FIPS')).toBe(false);
  expect(ciphersOf('default')).toEqual(cipherNames);
  const refused = cipherNames.filter((cipher) => !ciphersOf('fips').includes(cipher));
  expect(refused).toEqual(['none', 'aes-128-xts', 'chacha20-poly1305']);
  for (const cipher of refused) expect(() => checkSuite({ suite: 'fips', cipher })).toThrow('not of suite fips');
  for (const given of [{}, { suite: 'fips' }, { suite: 'fips', cipher: 'aes-256-gcm' }] as const) {
    expect(() => checkSuite(given)).not.toThrow();
  }
  expect(() => checkSuite({ cipher: 'none' satisfies CipherName })).not.toThrow();
});

test.each([
  [{ alg: 'A128KW' }, true],
  [{ alg: 'A256KW' }, true],
  [{ alg: 'A256GCMKW' }, false],
  [{ alg: 'PBES2-HS512+A256KW' }, true],
  [{ alg: 'PBES2-HS256+A128KW' }, false],
  [{ alg: 'RSA-OAEP-256' }, true],
  [{ alg: 'RSA1_5' }, false],
  [{ alg: 'ECDH-ES+A256KW', epk: { crv: 'P-384' } }, true],
  [{ alg: 'ECDH-ES+A256KW', epk: { crv: 'X25519' } }, false],
  [{ alg: 'ECDH-ES+A256KW', epk: 'P-384' }, false],
  [{ alg: 'ECDH-ES+A256KW' }, false],
  [{ alg: 'ckptfs-kmip' }, true],
  [{ alg: 'ckptfs-' }, false],
  [{ alg: 'A256KW ' }, false],
  [{ alg: ['A256KW'] }, false],
  [{}, false],
])('a slot of %j is of suite fips: %s', (parameters, expected) => {
  expect(isSlotOfSuite(slot(parameters), 'fips')).toBe(expected);
  expect(isSlotOfSuite(slot(parameters), 'default')).toBe(true);
});
