import { hchacha } from '@noble/ciphers/chacha.js';
import { Region } from '../base/linux/native.ts';
import { wipe } from '../base/wipe.ts';
import { MANIFEST_NONCE_SIZE, MANIFEST_TAG_SIZE } from '../format/manifest-envelope.ts';
import { NONCE_SIZE } from '../format/record.ts';
import { DEFAULT_SUITE, type SuiteName } from '../format/suites.ts';
import { checkLength } from './checks.ts';
import { deriveManifestSealKey } from './image-keys.ts';
import type { AeadKey, Primitives } from './primitives.ts';
import { Secret } from './secret.ts';
import { primitives } from './select.ts';

/** "expand 32-byte k" */
const SIGMA = Uint32Array.of(0x61707865, 0x3320646e, 0x79622d32, 0x6b206574);

/**
 * Encrypts a manifest (format.md §5): by XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha), for suite `fips` by AES-256-GCM.
 * @param nonce 24 random bytes
 * @returns ciphertext ‖ 16-byte tag
 */
export function sealManifest(
  key: Secret,
  nonce: Uint8Array,
  additional: Uint8Array,
  plain: Uint8Array,
  suite: SuiteName = DEFAULT_SUITE,
  p: Primitives = primitives(),
): Uint8Array {
  const sealed = new Region(plain.length + MANIFEST_TAG_SIZE);
  withMessageKey(p, suite, key, nonce, (aead, shortNonce) => {
    aead.beginSeal(shortNonce, 0);
    aead.additional(new Region(additional), 0, additional.length);
    aead.crypt(new Region(plain), 0, sealed, 0, plain.length);
    aead.finish(sealed, plain.length);
  });
  return sealed.bytes;
}

/**
 * Authenticates and decrypts a manifest, in place: it may be large, and it is untrusted until this returns.
 * @param sealed ciphertext ‖ tag; overwritten
 * @returns the plaintext, which is the beginning of `sealed`; undefined, with `sealed` wiped, when it is not authentic
 */
export function openManifest(
  key: Secret,
  nonce: Uint8Array,
  additional: Uint8Array,
  sealed: Uint8Array,
  suite: SuiteName = DEFAULT_SUITE,
  p: Primitives = primitives(),
): Uint8Array | undefined {
  const length = sealed.length - MANIFEST_TAG_SIZE;
  const authentic = withMessageKey(p, suite, key, nonce, (aead, shortNonce) => {
    if (length < 0) return false;
    const region = new Region(sealed);
    aead.beginOpen(shortNonce, 0);
    aead.additional(new Region(additional), 0, additional.length);
    aead.crypt(region, 0, region, 0, length);
    return aead.verify(region, length);
  });
  if (authentic) return sealed.subarray(0, length);
  wipe(sealed);
  return undefined;
}

type UseOfKey<T> = (aead: AeadKey, nonce: Region) => T;

function withMessageKey<T>(p: Primitives, suite: SuiteName, key: Secret, nonce: Uint8Array, use: UseOfKey<T>): T {
  checkLength('manifest key', key.bytes, 32);
  checkLength('manifest nonce', nonce, MANIFEST_NONCE_SIZE);
  return suite === 'fips' ? withSealKey(p, key, nonce, use) : withSubkey(p, key, nonce, use);
}

/** Calls `use` with a key of AES-256-GCM that serves for this message alone, and so may have a nonce of zeros. */
function withSealKey<T>(p: Primitives, key: Secret, random: Uint8Array, use: UseOfKey<T>): T {
  const sealKey = deriveManifestSealKey(p, key, random);
  try {
    const aead = p.aes256Gcm(sealKey.bytes);
    try {
      return use(aead, new Region(NONCE_SIZE));
    } finally {
      aead.dispose();
    }
  } finally {
    sealKey.wipe();
  }
}

/**
 * Calls `use` with the ChaCha20-Poly1305 key and nonce that make up XChaCha20-Poly1305 (draft, §2.3): the key is
 * HChaCha20 of `key` and the first 16 bytes of the nonce, the short nonce is four zeros and the last 8 bytes. Noble's
 * own composition is not used, because it leaves copies of the key on the heap.
 */
function withSubkey<T>(p: Primitives, key: Secret, nonce: Uint8Array, use: UseOfKey<T>): T {
  const subkey = Secret.zeros(32);
  try {
    hchacha(SIGMA, words(key.bytes), words(Uint8Array.from(nonce.subarray(0, 16))), words(subkey.bytes));
    const shortNonce = new Region(12);
    shortNonce.bytes.set(nonce.subarray(16), 4);
    const aead = p.chacha20Poly1305(subkey.bytes);
    try {
      return use(aead, shortNonce);
    } finally {
      aead.dispose();
    }
  } finally {
    subkey.wipe();
  }
}

function words(bytes: Uint8Array): Uint32Array {
  return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
}
