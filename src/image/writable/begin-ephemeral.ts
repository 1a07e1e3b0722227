import { IMAGE_KEY_SIZE } from '../../crypto/image-keys.ts';
import { Secret } from '../../crypto/secret.ts';
import { randomBytes } from '../../crypto/system-random.ts';
import { encodeMarkedHeader } from '../../format/header.ts';
import { ID_SIZE } from '../../format/manifest.ts';
import { slotInstant } from '../../format/slot-description.ts';
import type { WritableStore } from '../../stores/writable-store.ts';

/**
 * Puts the mark of an ephemeral image in the place of a header (format.md §4), and makes its key, for `openEphemeral`.
 * @param store must be empty
 * @returns the id of the image, 32 hexadecimal digits, and its key, which the caller wipes
 * @throws CkptfsError `io`
 */
export function beginEphemeral(store: WritableStore): { readonly imageId: string; readonly imageKey: Secret } {
  const imageId = randomBytes(ID_SIZE);
  store.publish('ckptfs.json', encodeMarkedHeader(imageId, 'ephemeral', slotInstant(new Date())));
  return { imageId: imageId.toString('hex'), imageKey: Secret.random(IMAGE_KEY_SIZE) };
}
