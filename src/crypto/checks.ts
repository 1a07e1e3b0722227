import { CkptfsError } from '../base/errors.ts';
import { MAX_LENGTH } from '../base/linux/span.ts';

/** The checks that every implementation of Primitives makes before it passes a length or a key to native code. */

/** @throws CkptfsError `internal` unless the memory has exactly `length` bytes */
export function checkLength(what: string, memory: Uint8Array, length: number): void {
  if (memory.length !== length) throw new CkptfsError('internal', `${what} has ${memory.length} bytes, not ${length}`);
}

/**
 * Checks a key for XTS: 32 or 64 bytes, of two different halves. With equal halves XTS is weak (NIST SP 800-38E, FIPS
 * 140 IG A.9).
 * @throws CkptfsError `internal` for any other key
 */
export function checkXtsKey(key: Uint8Array, isEqual: (a: Uint8Array, b: Uint8Array) => boolean): void {
  if (key.length !== 32 && key.length !== 64) throw new CkptfsError('internal', `XTS key has ${key.length} bytes`);
  const half = key.length / 2;
  if (isEqual(key.subarray(0, half), key.subarray(half))) {
    throw new CkptfsError('internal', 'the two halves of an XTS key are equal');
  }
}

/** @throws CkptfsError `internal` for a data unit that would need ciphertext stealing, which ckptfs never uses */
export function checkDataUnit(length: number): void {
  if (length < 16 || length % 16 !== 0) throw new CkptfsError('internal', `XTS data unit of ${length} bytes`);
}

/** @throws CkptfsError `internal` for lengths that AES Key Wrap does not have (RFC 3394 §2.2) */
export function checkKeyUnwrap(key: Uint8Array, wrapped: Uint8Array, out: Uint8Array): void {
  if (![16, 24, 32].includes(key.length)) throw new CkptfsError('internal', `AES key has ${key.length} bytes`);
  if (wrapped.length < 24 || wrapped.length % 8 !== 0) {
    throw new CkptfsError('internal', `wrapped key has ${wrapped.length} bytes`);
  }
  checkLength('unwrapped key', out, wrapped.length - 8);
}

/** @throws CkptfsError `internal` for lengths that AES Key Wrap does not have (RFC 3394 §2.2) */
export function checkKeyWrap(key: Uint8Array, plain: Uint8Array, out: Uint8Array): void {
  checkKeyUnwrap(key, out, plain);
}

/** @throws CkptfsError `internal` for a count or a length that PBKDF2 with SHA-512 does not give in one block */
export function checkPbkdf2(iterations: number, length: number): void {
  if (!(Number.isInteger(iterations) && iterations >= 1 && iterations <= MAX_LENGTH && length >= 1 && length <= 64))
    throw new CkptfsError('internal', `PBKDF2 of ${iterations} iterations to ${length} bytes`);
}

/** @throws CkptfsError `internal` for more than 255 blocks, the limit of RFC 5869 §2.3 */
export function checkHkdfLength(length: number): void {
  if (length > 255 * 32) throw new CkptfsError('internal', `HKDF-SHA-256 cannot give ${length} bytes`);
}

export function disposedKey(): CkptfsError {
  return new CkptfsError('internal', 'a key was used after it was wiped');
}

export function notBegun(): CkptfsError {
  return new CkptfsError('internal', 'no message was begun');
}
