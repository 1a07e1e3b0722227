import type { Region } from '../base/linux/native.ts';

/**
 * The primitives that ckptfs composes. There are two implementations, tested with the same vectors: `openssl.ts`
 * (Node's own OpenSSL through koffi) and `node.ts` (plain node:crypto). All lengths and offsets are in bytes. A key
 * object belongs to one thread.
 */
export interface Primitives {
  readonly name: 'openssl' | 'node';
  /**
   * Makes a key for XTS.
   * @param key 32 bytes for AES-128-XTS, 64 for AES-256-XTS (IEEE 1619: data key, then tweak key)
   */
  xts(key: Uint8Array): XtsKey;
  /**
   * Makes a key for AES-256-GMAC: GCM with only additional data (NIST SP 800-38D).
   * @param key 32 bytes @param tagSize 16, or 12 for tags that are cut @param nonceSize 12, or 16
   */
  gmac(key: Uint8Array, tagSize?: TagSize, nonceSize?: NonceSize): GmacKey;
  /** Makes a key for AES-256-GCM (NIST SP 800-38D). The sizes are as for {@link gmac}. @param key 32 bytes */
  aes256Gcm(key: Uint8Array, tagSize?: TagSize, nonceSize?: NonceSize): AeadKey;
  /** Makes a key for ChaCha20-Poly1305 (RFC 8439). @param key 32 bytes @param tagSize as for {@link gmac} */
  chacha20Poly1305(key: Uint8Array, tagSize?: TagSize): AeadKey;
  /**
   * Unwraps a key by AES Key Wrap with its default initial value (RFC 3394).
   * @param key 16, 24 or 32 bytes
   * @param wrapped a multiple of 8 bytes, at least 24
   * @param out 8 bytes less than `wrapped`; zeros afterwards unless this returns true
   * @returns whether `key` is the one that it was wrapped under
   */
  aesKeyUnwrap(key: Uint8Array, wrapped: Uint8Array, out: Uint8Array): boolean;
  /**
   * Wraps a key so that {@link aesKeyUnwrap} unwraps it.
   * @param plain a multiple of 8 bytes, at least 16 @param out 8 bytes more than `plain`
   */
  aesKeyWrap(key: Uint8Array, plain: Uint8Array, out: Uint8Array): void;
  /**
   * Fills `out`, at most 64 bytes, by PBKDF2 with HMAC-SHA-512 (RFC 8018 §5.2), on another thread.
   * @param iterations 1 to 2^31 - 1
   */
  pbkdf2Sha512(password: Uint8Array, salt: Uint8Array, iterations: number, out: Uint8Array): Promise<void>;
  /** Compares two pieces of memory of the same length in constant time. */
  isEqual(a: Uint8Array, b: Uint8Array): boolean;
  /** Fills `out`, at most 8160 bytes, by RFC 5869 with SHA-256. */
  hkdfSha256(key: Uint8Array, salt: Uint8Array, info: Uint8Array, out: Uint8Array): void;
  /** Writes the HMAC-SHA-256 (RFC 2104) of `data` into `out`, 32 bytes. */
  hmacSha256(key: Uint8Array, data: Uint8Array, out: Uint8Array): void;
  /** Writes the SHA-256, 32 bytes, of `length` bytes at `offset`. */
  sha256(from: Region, offset: number, length: number, out: Region, outOffset: number): void;
}

/** Bytes of a tag. */
export type TagSize = 12 | 16;

/** Bytes of a nonce. */
export type NonceSize = 12 | 16;

export const TAG_SIZE = 16;

export interface XtsKey {
  /**
   * Encrypts one data unit, possibly in place. `length` is a multiple of 16, at least 16; the tweak is the 16 bytes at
   * `tweakOffset`.
   */
  encrypt(
    tweak: Region,
    tweakOffset: number,
    from: Region,
    fromOffset: number,
    to: Region,
    toOffset: number,
    length: number,
  ): void;
  decrypt(
    tweak: Region,
    tweakOffset: number,
    from: Region,
    fromOffset: number,
    to: Region,
    toOffset: number,
    length: number,
  ): void;
  /** Wipes the key; further use throws. */
  dispose(): void;
}

export interface GmacKey {
  /** Starts a message under a nonce of the size of the key's nonces. */
  begin(nonce: Region, nonceOffset: number): void;
  update(data: Region, offset: number, length: number): void;
  /** Writes the tag. */
  finish(tag: Region, tagOffset: number): void;
  /** Compares with the tag in constant time. */
  verify(tag: Region, tagOffset: number): boolean;
  dispose(): void;
}

/**
 * A key for messages. The calls for one message are: begin, any number of `additional`, any number of `crypt`, then
 * `finish` (sealing) or `verify` (opening).
 */
export interface AeadKey {
  beginSeal(nonce: Region, nonceOffset: number): void;
  beginOpen(nonce: Region, nonceOffset: number): void;
  additional(data: Region, offset: number, length: number): void;
  /** Encrypts or decrypts, possibly in place. What it decrypts must not be used before `verify` has returned true. */
  crypt(from: Region, fromOffset: number, to: Region, toOffset: number, length: number): void;
  finish(tag: Region, tagOffset: number): void;
  verify(tag: Region, tagOffset: number): boolean;
  dispose(): void;
}
