import type { Primitives } from '../../crypto/primitives.ts';
import type { PrivateKey } from '../../crypto/private-key.ts';
import { type RsaJwk, thumbprint } from '../../crypto/public-key.ts';
import type { Secret } from '../../crypto/secret.ts';
import { commonParameters, parametersFor, type Slot, type SlotJwe } from '../../format/slot.ts';
import type { SlotDescription } from '../../format/slot-description.ts';
import { CONTENT_KEY_SIZE, openContent } from './content.ts';
import { makeSlot } from './make-slot.ts';

export const RSA_OAEP = 'RSA-OAEP-256';
/** The parameters of the protected header besides those of every slot (format.md §3). */
export const RSA_OAEP_PARAMETERS = ['kid'] as const;

/** Wraps the image key for the holder of an RSA key (RFC 7518 §4.3). @param imageId 16 bytes */
export function wrapByRsaOaep(
  imageKey: Secret,
  imageId: Uint8Array,
  jwk: RsaJwk,
  description: SlotDescription,
): Promise<Slot> {
  const parameters = { ...commonParameters(RSA_OAEP, imageId), kid: thumbprint(jwk) };
  return makeSlot(imageKey, parameters, description, (jwe) => jwe.encrypt({ ...jwk }));
}

/**
 * Unwraps the image key of a slot that names the key. Returns undefined when it was made with another key or is
 * damaged.
 * @param imageId 16 bytes
 * @param key an RSA key
 */
export function unwrapByRsaOaep(
  slot: SlotJwe,
  imageId: Uint8Array,
  key: Pick<PrivateKey, 'decryptOaep256'>,
  p: Primitives,
): Secret | undefined {
  if (parametersFor(slot, imageId, RSA_OAEP, RSA_OAEP_PARAMETERS) === undefined) return undefined;
  const contentKey = key.decryptOaep256(Buffer.from(slot.encrypted_key, 'base64url'));
  if (contentKey === undefined) return undefined;
  try {
    return contentKey.length === CONTENT_KEY_SIZE ? openContent(slot, contentKey, p) : undefined;
  } finally {
    contentKey.wipe();
  }
}
