import type { Primitives } from './primitives.ts';
import type { Secret } from './secret.ts';

const HEADER_MAC_SIZE = 32;

/** Computes the HMAC-SHA-256 of the header's encoding without its member `mac` (format.md §4). */
export function headerMac(p: Primitives, key: Secret, encoding: Uint8Array): Buffer {
  const mac = Buffer.alloc(HEADER_MAC_SIZE);
  p.hmacSha256(key.bytes, encoding, mac);
  return mac;
}

/** Compares a MAC with the right one in constant time. A MAC of another length is wrong. */
export function verifyHeaderMac(p: Primitives, key: Secret, encoding: Uint8Array, mac: Uint8Array): boolean {
  return mac.length === HEADER_MAC_SIZE && p.isEqual(mac, headerMac(p, key, encoding));
}
