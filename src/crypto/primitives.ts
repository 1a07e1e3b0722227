import type { Region } from '../base/native.ts';

/**
 * The primitives ckptfs composes. Two implementations, held to the same vectors: `openssl.ts` (Node's own OpenSSL through
 * koffi) and `node.ts` (plain node:crypto). All lengths and offsets are bytes. A key object belongs to one thread.
 */
export interface Primitives {
  readonly name: 'openssl' | 'node';
  /** @param key 32 bytes for AES-128-XTS, 64 for AES-256-XTS (IEEE 1619: data key, then tweak key) */
  xts(key: Uint8Array): XtsKey;
  /** AES-256-GMAC: GCM with everything as additional data (NIST SP 800-38D). @param key 32 bytes */
  gmac(key: Uint8Array): GmacKey;
  /** RFC 8439. @param key 32 bytes */
  chacha20Poly1305(key: Uint8Array): AeadKey;
  /** RFC 5869 with SHA-256; fills `out`, at most 8160 bytes. */
  hkdfSha256(key: Uint8Array, salt: Uint8Array, info: Uint8Array, out: Uint8Array): void;
  /** HMAC-SHA-256 (RFC 2104) of `data` into `out`, 32 bytes. */
  hmacSha256(key: Uint8Array, data: Uint8Array, out: Uint8Array): void;
  /** SHA-256 of `length` bytes at `offset`, written as 32 bytes at `outOffset`. */
  sha256(from: Region, offset: number, length: number, out: Region, outOffset: number): void;
}

export interface XtsKey {
  /** One data unit: `length` is a multiple of 16, at least 16; the tweak is 16 bytes at `tweakOffset`. In place is allowed. */
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
  /** Starts a message under a 12-byte nonce. */
  begin(nonce: Region, nonceOffset: number): void;
  update(data: Region, offset: number, length: number): void;
  /** Writes the 16-byte tag. */
  finish(tag: Region, tagOffset: number): void;
  /** Compares with the 16-byte tag in constant time. */
  verify(tag: Region, tagOffset: number): boolean;
  dispose(): void;
}

/** One message is: begin, any number of additional data, any number of crypt, then finish (sealing) or verify (opening). */
export interface AeadKey {
  beginSeal(nonce: Region, nonceOffset: number): void;
  beginOpen(nonce: Region, nonceOffset: number): void;
  additional(data: Region, offset: number, length: number): void;
  /** In place is allowed. What `crypt` gives while opening must not be used before `verify` returned true. */
  crypt(from: Region, fromOffset: number, to: Region, toOffset: number, length: number): void;
  finish(tag: Region, tagOffset: number): void;
  verify(tag: Region, tagOffset: number): boolean;
  dispose(): void;
}
