import { x509Library } from './libcrypto-x509.ts';
import { Cell } from './openssl-values.ts';

/** openssl/obj_mac.h: MD2, MD5, SHA-1, MDC-2, RIPEMD-160, MD4. Two messages of one digest can be found for them. */
const WEAK_DIGESTS: ReadonlySet<number> = new Set([3, 4, 64, 95, 117, 257]);

/**
 * Tells whether a signature is over a digest with less than 112 bits of security. OpenSSL's security level covers
 * certificates, but not revocation lists and answers of OCSP responders.
 * @param algorithm the number (NID) of the signature algorithm
 */
export function hasWeakDigest(algorithm: number): boolean {
  const digest = new Cell();
  const isKnown = x509Library().signatureParts(algorithm, digest.address, 0) === 1;
  return !isKnown || WEAK_DIGESTS.has(digest.int);
}
