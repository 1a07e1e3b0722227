import { wipe } from '../base/wipe.ts';
import { offHeap } from './off-heap.ts';

const HASH_SIZE = 32;

/** Writes the HMAC-SHA-256 of `data` into `out`, 32 bytes. */
type Hmac = (key: Uint8Array, data: Uint8Array, out: Uint8Array) => void;

/**
 * Fills `out`, at most 8160 bytes, by RFC 5869 over the given HMAC-SHA-256. Wipes all key material it made on the way.
 */
export function hkdfSha256(hmac: Hmac, key: Uint8Array, salt: Uint8Array, info: Uint8Array, out: Uint8Array): void {
  const extracted = offHeap(HASH_SIZE);
  // T(i-1) | info | i
  const message = offHeap(HASH_SIZE + info.length + 1);
  const block = message.subarray(0, HASH_SIZE);
  try {
    hmac(salt, key, extracted);
    message.set(info, HASH_SIZE);
    for (let done = 0; done < out.length; done += HASH_SIZE) {
      message[message.length - 1] = done / HASH_SIZE + 1;
      hmac(extracted, done === 0 ? message.subarray(HASH_SIZE) : message, block);
      out.set(block.subarray(0, Math.min(HASH_SIZE, out.length - done)), done);
    }
  } finally {
    wipe(extracted);
    wipe(message);
  }
}
