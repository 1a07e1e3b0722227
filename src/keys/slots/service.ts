import type { Primitives } from '../../crypto/primitives.ts';
import type { Secret } from '../../crypto/secret.ts';
import { primitives } from '../../crypto/select.ts';
import { commonParameters, parametersFor, type Slot, type SlotJwe } from '../../format/slot.ts';
import type { SlotDescription } from '../../format/slot-description.ts';
import { CONTENT_KEY_SIZE, openContent, sealContent, type WrapContentKey } from './content.ts';

/** The services that wrap content keys in a way of their own; `alg` of their slots is `ckptfs-NAME` (format.md §3). */
export type ServiceName = 'kmip' | 'tpm2' | 'keyprovider' | 'vault';

/** What `kid` may be: what a service calls a key, of 1 to 512 characters of ASCII without white space. */
const KEY_ID = /^[\x21-\x7e]{1,512}$/;

/**
 * Wraps the image key of an image under a key that a service holds.
 * @param imageId 16 bytes
 * @param keyId what the service calls its key
 * @throws TypeError for a `keyId` that no slot may have; what `wrap` throws
 */
export async function wrapByService(
  imageKey: Secret,
  imageId: Uint8Array,
  service: ServiceName,
  keyId: string,
  wrap: WrapContentKey,
  description: SlotDescription,
  p: Primitives = primitives(),
): Promise<Slot> {
  if (!KEY_ID.test(keyId)) throw new TypeError('a key id that no slot may have');
  const parameters = { ...commonParameters(`ckptfs-${service}`, imageId), kid: keyId };
  return sealContent(imageKey, parameters, description, wrap, p);
}

/**
 * Returns what a service calls the key of a slot; undefined for a slot of another service, kind or image.
 * @param imageId 16 bytes
 */
export function serviceKeyOf(slot: SlotJwe, imageId: Uint8Array, service: ServiceName): string | undefined {
  const keyId = parametersFor(slot, imageId, `ckptfs-${service}`, ['kid'])?.get('kid');
  return typeof keyId === 'string' && KEY_ID.test(keyId) ? keyId : undefined;
}

/** Unwraps what a service wrapped. Returns undefined when it is not of its making. */
export type UnwrapContentKey = (wrapped: Buffer, context: Buffer) => Promise<Secret | undefined>;

/**
 * Unwraps the image key of a slot of a service. Returns undefined when the service has not wrapped it, or the slot is
 * damaged or holds no image key.
 * @throws what `unwrap` throws
 */
export async function unwrapByService(
  slot: SlotJwe,
  unwrap: UnwrapContentKey,
  p: Primitives = primitives(),
): Promise<Secret | undefined> {
  const wrapped = Buffer.from(slot.encrypted_key, 'base64url');
  const contentKey = await unwrap(wrapped, Buffer.from(slot.protected, 'latin1'));
  if (contentKey === undefined) return undefined;
  try {
    return contentKey.length === CONTENT_KEY_SIZE ? openContent(slot, contentKey, p) : undefined;
  } finally {
    contentKey.wipe();
  }
}
