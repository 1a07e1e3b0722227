import { type Cipher, filler } from './encode.ts';
import { type HeaderFields, type ManifestKeys, type ObjectKeys, type Slot, sealSlot } from './seal.ts';

/** The keys and ids that the vectors share: fixed, and for nothing else. */
export const imageKey = filler('image key', 32);
export const imageId = filler('image id', 16);
export const objectId = filler('object id', 16);
export const journalId = filler('journal id', 16);
export const wrappingKey = filler('wrapping key', 32);
export const CHUNK_SIZE = 16384;

/** A good slot. @param size of the wrapping key: 16, 24 or 32 bytes */
export function slot(size = 32, payload = imageKey, header = slotParameters(size)): Slot {
  const label = `slot ${size}`;
  return sealSlot(
    payload,
    wrappingKey.subarray(0, size),
    filler(`${label} key`, 32),
    filler(`${label} iv`, 12),
    header,
  );
}

/** The protected header of a slot for a wrapping key of `size` bytes. */
function slotParameters(size: number): string {
  return JSON.stringify({ alg: `A${size * 8}KW`, enc: 'A256GCM', ckptfs: imageId.toString('hex') });
}

/** Members of a good header in their order. */
export const headerFields: HeaderFields = {
  format: 'ckptfs',
  version: 1,
  image: imageId.toString('hex'),
  cipher: 'aes-256-xts',
  chunkSize: CHUNK_SIZE,
  slots: [slot()],
};

export function objectKeys(cipher: Cipher): ObjectKeys {
  return { cipher, imageKey, imageId, objectId };
}

export const manifestKeys: ManifestKeys = {
  imageKey,
  imageId,
  cipher: 'aes-256-xts',
  chunkSize: CHUNK_SIZE,
  nonce: filler('manifest nonce', 24),
};
