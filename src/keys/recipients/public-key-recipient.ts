import { KeyProblem } from '../../crypto/key-problem.ts';
import { PrivateKey } from '../../crypto/private-key.ts';
import { type OkpJwk, type PublicJwk, thumbprint, x25519Of } from '../../crypto/public-key.ts';
import { type SlotDescription, slotInstant } from '../../format/slot-description.ts';
import type { Recipient } from '../provider.ts';
import { isRecipientJwk, type RecipientJwk, wrapForPublicKey } from '../slots/public-key.ts';

/** A recipient that an image is made for by its public key. */
export interface PublicKeyRecipient extends Recipient {
  readonly jwk: RecipientJwk;
  /** The thumbprint of the key, by which its slots are found. */
  readonly keyId: string;
}

/**
 * Makes a recipient of a public key. An Ed25519 key is used as the X25519 key that it is equivalent to.
 * @param source names it in messages: `certificate host.crt`
 * @param description of the slots that are made for it; the time is added
 * @throws KeyProblem `unsupported` for an Ed25519 key that is not equivalent to one, and for an X25519 key that no
 *   private key has
 */
export function publicKeyRecipient(source: string, key: PublicJwk, description: SlotDescription): PublicKeyRecipient {
  const jwk = recipientJwk(key);
  return {
    source,
    jwk,
    keyId: thumbprint(jwk),
    wrap: (imageKey, imageId) =>
      wrapForPublicKey(imageKey, imageId, jwk, { ...description, created: slotInstant(new Date()) }),
  };
}

function recipientJwk(key: PublicJwk): RecipientJwk {
  const jwk = isRecipientJwk(key) ? key : x25519Of(key);
  if (jwk === undefined || !isRecipientJwk(jwk)) {
    throw new KeyProblem('unsupported', 'is an Ed25519 key that cannot be used for encryption');
  }
  if (jwk.kty === 'OKP' && !isX25519Key(jwk)) {
    throw new KeyProblem('unsupported', 'is an X25519 key that no private key has');
  }
  return jwk;
}

/** Any number does, as a point of small order gives zeros with each (RFC 7748 §6.1). */
const ANY_SCALAR = Buffer.alloc(32, 1);
const P25519 = 2n ** 255n - 19n;

/** Tells whether the number of a key is in range, which gives it one thumbprint, and can be agreed with. */
function isX25519Key(jwk: OkpJwk): boolean {
  const u = BigInt(`0x${Buffer.from(jwk.x, 'base64url').reverse().toString('hex')}`);
  if (u >= P25519) return false;
  const any = PrivateKey.x25519(ANY_SCALAR);
  try {
    const agreed = any.agree(jwk);
    agreed?.wipe();
    return agreed !== undefined;
  } finally {
    any.dispose();
  }
}
