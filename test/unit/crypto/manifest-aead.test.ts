import { createCipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { xchacha20poly1305 } from '@noble/ciphers/chacha.js';
import { describe, expect, test } from 'vitest';
import { openManifest, sealManifest } from '../../../src/crypto/manifest-aead.ts';
import { Secret } from '../../../src/crypto/secret.ts';
import { primitives } from '../../../src/crypto/select.ts';
import { hex, vectors } from './vectors.ts';

type Field = 'key' | 'nonce' | 'aad' | 'plaintext' | 'ciphertext' | 'tag';

describe.each(['openssl', 'node'] as const)('XChaCha20-Poly1305 over %s', (name) => {
  const p = primitives(name);

  test.each(vectors<Field>('xchacha20-poly1305'))('$source', (vector) => {
    const key = Secret.take(hex(vector.key));
    const [nonce, aad, plain] = [hex(vector.nonce), hex(vector.aad), hex(vector.plaintext)];
    const sealed = sealManifest(key, nonce, aad, plain, 'default', p);
    expect(Buffer.from(sealed).toString('hex')).toBe(vector.ciphertext + vector.tag);
    expect(
      Buffer.from(openManifest(key, nonce, aad, Uint8Array.from(sealed), 'default', p) ?? []).toString('hex'),
    ).toBe(vector.plaintext);
  });

  test('is what noble-ciphers computes, at any length', () => {
    for (const length of [0, 1, 63, 64, 65, 4096, 100_000]) {
      const key = Secret.random(32);
      const [nonce, aad, plain] = [randomBytes(24), randomBytes(length % 50), randomBytes(length)];
      const expected = xchacha20poly1305(key.bytes, nonce, aad).encrypt(plain);
      expect(Buffer.from(sealManifest(key, nonce, aad, plain, 'default', p)).equals(expected)).toBe(true);
      expect(Buffer.from(openManifest(key, nonce, aad, expected, 'default', p) ?? []).equals(plain)).toBe(true);
    }
  });

  test('does not open with any bit flipped, cut, or with another key, nonce or additional data', () => {
    const key = Secret.random(32);
    const [nonce, aad] = [randomBytes(24), randomBytes(34)];
    const sealed = sealManifest(key, nonce, aad, randomBytes(64), 'default', p);
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      expect(openManifest(key, nonce, aad, flipped(sealed, bit), 'default', p)).toBeUndefined();
    }
    for (let length = 0; length < sealed.length; length++) {
      expect(openManifest(key, nonce, aad, Uint8Array.from(sealed.subarray(0, length)), 'default', p)).toBeUndefined();
    }
    expect(openManifest(Secret.random(32), nonce, aad, Uint8Array.from(sealed), 'default', p)).toBeUndefined();
    expect(openManifest(key, flipped(nonce, 0), aad, Uint8Array.from(sealed), 'default', p)).toBeUndefined();
    expect(openManifest(key, nonce, flipped(aad, 271), Uint8Array.from(sealed), 'default', p)).toBeUndefined();
    expect(openManifest(key, nonce, aad.subarray(1), Uint8Array.from(sealed), 'default', p)).toBeUndefined();
    expect(openManifest(key, nonce, aad, Uint8Array.from(sealed), 'default', p)).toBeDefined();
  });

  test('refuses another key or nonce size', () => {
    const [key, nonce, nothing] = [Secret.random(32), Buffer.alloc(24), Buffer.alloc(0)];
    expect(() => sealManifest(Secret.random(31), nonce, nothing, nothing, 'default', p)).toThrow('manifest key');
    expect(() => sealManifest(key, Buffer.alloc(12), nothing, nothing, 'default', p)).toThrow('manifest nonce');
    expect(() => openManifest(Secret.random(33), nonce, nothing, nothing, 'default', p)).toThrow('manifest key');
    expect(() => openManifest(key, Buffer.alloc(23), nothing, nothing, 'default', p)).toThrow('manifest nonce');
  });
});

describe.each(['openssl', 'node'] as const)('AES-256-GCM of suite fips over %s', (name) => {
  const p = primitives(name);
  const [nonce, aad] = [randomBytes(24), randomBytes(34)];

  test('is what node:crypto computes under a key of its own, and a nonce of zeros', () => {
    const [key, plain] = [Secret.random(32), randomBytes(4096)];
    const sealKey = Buffer.from(hkdfSync('sha256', key.bytes, nonce, 'ckptfs 1 manifest seal', 32));
    const sealing = createCipheriv('aes-256-gcm', sealKey, Buffer.alloc(12));
    sealing.setAAD(aad);
    const expected = Buffer.concat([sealing.update(plain), sealing.final(), sealing.getAuthTag()]);
    expect(Buffer.from(sealManifest(key, nonce, aad, plain, 'fips', p)).equals(expected)).toBe(true);
    expect(Buffer.from(openManifest(key, nonce, aad, expected, 'fips', p) ?? []).equals(plain)).toBe(true);
  });

  test('does not open with any bit of the random bytes flipped, or as a manifest of the other suite', () => {
    const key = Secret.random(32);
    const sealed = sealManifest(key, nonce, aad, randomBytes(64), 'fips', p);
    for (let bit = 0; bit < nonce.length * 8; bit++) {
      expect(openManifest(key, flipped(nonce, bit), aad, Uint8Array.from(sealed), 'fips', p)).toBeUndefined();
    }
    expect(openManifest(key, nonce, aad, Uint8Array.from(sealed), 'default', p)).toBeUndefined();
    expect(openManifest(key, nonce, aad, Uint8Array.from(sealed), 'fips', p)).toBeDefined();
  });
});

function flipped(bytes: Uint8Array, bit: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  return copy;
}
