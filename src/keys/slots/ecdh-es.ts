import { concatKdf } from '../../crypto/concat-kdf.ts';
import type { Primitives } from '../../crypto/primitives.ts';
import type { PrivateKey } from '../../crypto/private-key.ts';
import { type EcJwk, type OkpJwk, readPublicJwk, thumbprint } from '../../crypto/public-key.ts';
import type { Secret } from '../../crypto/secret.ts';
import { commonParameters, parametersFor, type Slot, type SlotJwe } from '../../format/slot.ts';
import type { SlotDescription } from '../../format/slot-description.ts';
import { openWrapped } from './content.ts';
import { ephemeralKey } from './ephemeral-key.ts';
import { makeSlot } from './make-slot.ts';

export const ECDH_ES = 'ECDH-ES+A256KW';
/** The parameters of the protected header besides those of every slot (format.md §3). */
export const ECDH_ES_PARAMETERS = ['epk', 'kid'] as const;

/**
 * Wraps the image key for the holder of a key of a curve (RFC 7518 §4.6, RFC 8037 §3.2).
 * @param imageId 16 bytes
 */
export async function wrapByEcdhEs(
  imageKey: Secret,
  imageId: Uint8Array,
  jwk: EcJwk | OkpJwk,
  description: SlotDescription,
): Promise<Slot> {
  const parameters = { ...commonParameters(ECDH_ES, imageId), kid: thumbprint(jwk) };
  const epk = await ephemeralKey(jwk.crv);
  return makeSlot(imageKey, parameters, description, (jwe) =>
    jwe.setKeyManagementParameters({ epk }).encrypt({ ...jwk }),
  );
}

/**
 * Unwraps the image key of a slot that names the key. Returns undefined when it was made with another key or is
 * damaged, and for an ephemeral key that is not on the curve.
 * @param imageId 16 bytes
 * @param key a key of a curve of NIST, or of X25519
 */
export function unwrapByEcdhEs(
  slot: SlotJwe,
  imageId: Uint8Array,
  key: Pick<PrivateKey, 'agree'>,
  p: Primitives,
): Secret | undefined {
  const epk = readPublicJwk(parametersFor(slot, imageId, ECDH_ES, ECDH_ES_PARAMETERS)?.get('epk'));
  const agreed = epk && key.agree(epk);
  if (agreed === undefined) return undefined;
  const wrappingKey = concatKdf(p, agreed, ECDH_ES);
  try {
    return openWrapped(slot, wrappingKey, p);
  } finally {
    for (const secret of [agreed, wrappingKey]) secret.wipe();
  }
}
