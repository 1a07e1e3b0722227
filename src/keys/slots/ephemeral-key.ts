import { subtle } from 'node:crypto';
import type { CryptoKey } from 'jose';
import { wipe } from '../../base/wipe.ts';
import { KeyProblem } from '../../crypto/key-problem.ts';
import { offHeap } from '../../crypto/off-heap.ts';
import { PrivateKey } from '../../crypto/private-key.ts';
import { CURVE_SIZES, type EcJwk, type NistCurve, type OkpJwk } from '../../crypto/public-key.ts';
import { randomBytes } from '../../crypto/system-random.ts';

type Curve = (EcJwk | OkpJwk)['crv'];

/** A PrivateKeyInfo (RFC 5208) up to the key itself, in hexadecimal (RFC 8410 §7, RFC 5915 §3). */
const PREFIXES: Readonly<Record<NistCurve | 'X25519', string>> = {
  'P-256': '3041020100301306072a8648ce3d020106082a8648ce3d030107042730250201010420',
  'P-384': '304e020100301006072a8648ce3d020106052b81040022043730350201010430',
  'P-521': '3060020100301006072a8648ce3d020106052b81040023044930470201010442',
  X25519: '302e020100300506032b656e04220420',
};

/**
 * Makes an ephemeral key for an agreement, of random bytes from the kernel. Left to itself, jose would let WebCrypto
 * take them from OpenSSL's generator, whose state is in this process.
 */
export async function ephemeralKey(curve: Curve): Promise<CryptoKey> {
  if (curve === 'Ed25519') throw new TypeError('Ed25519 is for signatures');
  const prefix = Buffer.from(PREFIXES[curve], 'hex');
  const bytes = randomKey(curve);
  const der = offHeap(prefix.length + bytes.length);
  der.set(prefix);
  der.set(bytes, prefix.length);
  wipe(bytes);
  try {
    const algorithm = curve === 'X25519' ? { name: curve } : { name: 'ECDH', namedCurve: curve };
    // jose reads the public part out of it, for the slot.
    return await subtle.importKey('pkcs8', der, algorithm, true, ['deriveBits']);
  } finally {
    wipe(der);
  }
}

/** Returns the random bytes of a private key; for a curve of NIST a number from 1 to the order less 1. */
function randomKey(curve: NistCurve | 'X25519'): Buffer {
  if (curve === 'X25519') return randomBytes(32);
  for (;;) {
    const bytes = randomBytes(CURVE_SIZES[curve]);
    // The order of P-521 has one bit in its first byte. Those of the others are just below a power of two.
    if (curve === 'P-521') bytes[0] = (bytes[0] ?? 0) & 1;
    if (isKey(curve, bytes)) return bytes;
    wipe(bytes);
  }
}

function isKey(curve: NistCurve, bytes: Uint8Array): boolean {
  try {
    PrivateKey.ec(curve, bytes).dispose();
    return true;
  } catch (error) {
    if (error instanceof KeyProblem) return false;
    throw error;
  }
}
