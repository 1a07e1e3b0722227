import { CkptfsError } from '../../base/errors.ts';
import type { Primitives } from '../../crypto/primitives.ts';
import type { PrivateKey } from '../../crypto/private-key.ts';
import { type EcJwk, type OkpJwk, type PublicJwk, type RsaJwk, thumbprint } from '../../crypto/public-key.ts';
import type { Secret } from '../../crypto/secret.ts';
import { primitives } from '../../crypto/select.ts';
import { parametersFor, type Slot, type SlotJwe } from '../../format/slot.ts';
import type { SlotDescription } from '../../format/slot-description.ts';
import { ECDH_ES, ECDH_ES_PARAMETERS, unwrapByEcdhEs, wrapByEcdhEs } from './ecdh-es.ts';
import { RSA_OAEP, RSA_OAEP_PARAMETERS, unwrapByRsaOaep, wrapByRsaOaep } from './rsa-oaep.ts';

/** A key that slots are made for. An Ed25519 key is used as an X25519 key (`x25519Of` of crypto/public-key.ts). */
export type RecipientJwk = RsaJwk | EcJwk | (OkpJwk & { readonly crv: 'X25519' });

export function isRecipientJwk(jwk: PublicJwk): jwk is RecipientJwk {
  return jwk.kty !== 'OKP' || jwk.crv === 'X25519';
}

/** A private key as slots need it: one in this process, or one that a token uses. */
export type UnwrappingKey = Pick<PrivateKey, 'publicJwk' | 'decryptOaep256' | 'agree'>;

/**
 * Wraps the image key of an image for the holder of a private key.
 * @param imageId 16 bytes
 */
export function wrapForPublicKey(
  imageKey: Secret,
  imageId: Uint8Array,
  jwk: RecipientJwk,
  description: SlotDescription = {},
): Promise<Slot> {
  return jwk.kty === 'RSA'
    ? wrapByRsaOaep(imageKey, imageId, jwk, description)
    : wrapByEcdhEs(imageKey, imageId, jwk, description);
}

/**
 * Returns the thumbprint of the key that a slot was made for, or undefined for a slot of another kind or image.
 * @param imageId 16 bytes
 */
export function recipientOf(slot: SlotJwe, imageId: Uint8Array): string | undefined {
  const parameters =
    parametersFor(slot, imageId, RSA_OAEP, RSA_OAEP_PARAMETERS) ??
    parametersFor(slot, imageId, ECDH_ES, ECDH_ES_PARAMETERS);
  const kid = parameters?.get('kid');
  return typeof kid === 'string' && /^[A-Za-z0-9_-]{43}$/.test(kid) ? kid : undefined;
}

/**
 * Unwraps the image key of the first slot that was made for a private key, in locked memory. Returns undefined without
 * such a slot. Only one slot is tried: as the header authenticates them all, an image with one that is damaged does not
 * open by another either, and a header full of slots cannot cost more than one use of a large key.
 * @param imageId 16 bytes
 * @throws CkptfsError `damaged` when the slot is not what its maker made
 */
export function unwrapWithPrivateKey(
  slots: readonly SlotJwe[],
  imageId: Uint8Array,
  key: UnwrappingKey,
  source: string,
  p: Primitives = primitives(),
): { imageKey: Secret; slot: number } | undefined {
  const kid = thumbprint(key.publicJwk);
  const index = slots.findIndex((each) => recipientOf(each, imageId) === kid);
  const slot = slots[index];
  if (slot === undefined) return undefined;
  const imageKey = unwrapped(slot, imageId, key, p);
  if (imageKey !== undefined) return { imageKey, slot: index };
  const count = slots.length === 1 ? 'the key slot' : `key slot ${index + 1} of ${slots.length}`;
  throw new CkptfsError('damaged', `${count} is for ${source}, but does not open with it: it is damaged or forged`);
}

function unwrapped(slot: SlotJwe, imageId: Uint8Array, key: UnwrappingKey, p: Primitives): Secret | undefined {
  return key.publicJwk.kty === 'RSA' ? unwrapByRsaOaep(slot, imageId, key, p) : unwrapByEcdhEs(slot, imageId, key, p);
}
