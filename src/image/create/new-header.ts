import { CkptfsError } from '../../base/errors.ts';
import { headerMac } from '../../crypto/header-mac.ts';
import { deriveHeaderMacKey } from '../../crypto/image-keys.ts';
import type { Secret } from '../../crypto/secret.ts';
import { primitives } from '../../crypto/select.ts';
import { isChunkSize } from '../../format/geometry.ts';
import { authenticatedHeaderBytes, encodeHeader, type Header, MAX_SLOTS } from '../../format/header.ts';
import type { Slot } from '../../format/slot.ts';
import type { WritableStore } from '../../stores/writable-store.ts';

/** Wraps a new image key, once for each recipient. It is called before any byte is encrypted. */
export type MakeSlots = (imageKey: Secret, imageId: Buffer) => Promise<readonly Slot[]>;

/** Writes the header of a new image and makes it durable. @throws CkptfsError `bad-argument`, `io` */
export async function writeNewHeader(
  store: WritableStore,
  makeSlots: MakeSlots,
  imageKey: Secret,
  image: Pick<Header, 'imageId' | 'cipher' | 'chunkSize'>,
): Promise<Header> {
  return writeHeader(store, imageKey, { ...image, slots: await makeSlots(imageKey, image.imageId) });
}

/**
 * Writes a header, in the place of the one that there is, and makes it durable. After a crash either is in place.
 * @throws CkptfsError `bad-argument` for a number of slots that no image has, `io`
 */
export function writeHeader(store: WritableStore, imageKey: Secret, image: Omit<Header, 'mac'>): Header {
  const { slots } = image;
  if (slots.length < 1 || slots.length > MAX_SLOTS) {
    throw new CkptfsError('bad-argument', `${slots.length} key slots: an image has 1 to ${MAX_SLOTS}`);
  }
  const macKey = deriveHeaderMacKey(primitives(), imageKey, image.imageId);
  try {
    const header = { ...image, mac: headerMac(primitives(), macKey, authenticatedHeaderBytes(image)) };
    store.publish('ckptfs.json', encodeHeader(header));
    return header;
  } finally {
    macKey.wipe();
  }
}

/** Refuses a chunk size that no image has. @throws CkptfsError `bad-argument` */
export function checkChunkSize(chunkSize: number): void {
  if (!isChunkSize(chunkSize)) {
    throw new CkptfsError('bad-argument', `chunk size ${chunkSize}: must be a power of two from 4096 to 65536`);
  }
}
