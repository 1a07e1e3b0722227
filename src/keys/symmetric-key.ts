import type { Secret } from '../crypto/secret.ts';
import type { SlotDescription } from '../format/slot-description.ts';
import type { KeyProvider } from './provider.ts';
import { unwrapFromSlot, wrapIntoSlot } from './slots/aes-key-wrap.ts';

/**
 * Makes a provider of a symmetric key.
 * @param key 16, 24 or 32 bytes, which the caller wipes
 * @param source names it in messages: `key file k`
 * @param description of the slots that it makes
 */
export function symmetricKeyProvider(
  key: Secret,
  source = 'the given key',
  description: SlotDescription = {},
): KeyProvider {
  return {
    source,
    wrap: (imageKey, imageId) => wrapIntoSlot(imageKey, imageId, key, description),
    unwrap: async (slots, imageId) => {
      for (const [index, slot] of slots.entries()) {
        const imageKey = unwrapFromSlot(slot, imageId, key);
        if (imageKey !== undefined) return { imageKey, slot: index };
      }
      return undefined;
    },
  };
}
