import { CkptfsError } from '../../base/errors.ts';
import type { Primitives } from '../../crypto/primitives.ts';
import type { Secret } from '../../crypto/secret.ts';
import { primitives } from '../../crypto/select.ts';
import { commonParameters, parametersFor, type Slot, type SlotJwe } from '../../format/slot.ts';
import type { SlotDescription } from '../../format/slot-description.ts';
import { openWrapped, sealContent, type WrapContentKey } from './content.ts';
import { makeSlot, withCopy } from './make-slot.ts';

const ALGORITHMS_BY_KEY_SIZE: ReadonlyMap<number, string> = new Map([
  [16, 'A128KW'],
  [24, 'A192KW'],
  [32, 'A256KW'],
]);

/**
 * Wraps the image key of an image under a wrapping key of 16, 24 or 32 bytes (A128KW, A192KW, A256KW: RFC 7518 §4.4).
 * @param imageId 16 bytes
 * @throws CkptfsError `internal` for a key of another size
 */
export async function wrapIntoSlot(
  imageKey: Secret,
  imageId: Uint8Array,
  wrappingKey: Secret,
  description: SlotDescription = {},
): Promise<Slot> {
  const parameters = commonParameters(algorithmFor(wrappingKey.length), imageId);
  return makeSlot(imageKey, parameters, description, (jwe) => withCopy(wrappingKey, (key) => jwe.encrypt(key)));
}

/**
 * Unwraps the image key of a slot, in locked memory. Returns undefined when the slot is of another image, or for
 * another kind or size of key, was made with another key, is damaged or holds no image key.
 * @param imageId 16 bytes
 */
export function unwrapFromSlot(
  slot: SlotJwe,
  imageId: Uint8Array,
  wrappingKey: Secret,
  p: Primitives = primitives(),
): Secret | undefined {
  return isForKeyOf(wrappingKey.length, slot, imageId) ? openWrapped(slot, wrappingKey, p) : undefined;
}

/**
 * Like {@link wrapIntoSlot}, for a wrapping key that only its holder can use.
 * @param keySize of the wrapping key, in bytes
 * @param wrap wraps the content key by AES Key Wrap (RFC 3394)
 * @throws what `wrap` throws
 */
export function wrapByHolder(
  imageKey: Secret,
  imageId: Uint8Array,
  keySize: number,
  wrap: WrapContentKey,
  description: SlotDescription,
  p: Primitives = primitives(),
): Promise<Slot> {
  return sealContent(imageKey, commonParameters(algorithmFor(keySize), imageId), description, wrap, p);
}

/** Returns whether a slot is of an image, and for a symmetric key of a size in bytes. @param imageId 16 bytes */
export function isForKeyOf(keySize: number, slot: SlotJwe, imageId: Uint8Array): boolean {
  return parametersFor(slot, imageId, algorithmFor(keySize)) !== undefined;
}

function algorithmFor(keySize: number): string {
  const algorithm = ALGORITHMS_BY_KEY_SIZE.get(keySize);
  if (algorithm === undefined) throw new CkptfsError('internal', `no algorithm wraps with a key of ${keySize} bytes`);
  return algorithm;
}
