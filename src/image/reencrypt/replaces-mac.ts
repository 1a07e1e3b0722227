import { headerMac, verifyHeaderMac } from '../../crypto/header-mac.ts';
import { deriveHeaderMacKey } from '../../crypto/image-keys.ts';
import type { Secret } from '../../crypto/secret.ts';
import { primitives } from '../../crypto/select.ts';
import type { Header } from '../../format/header.ts';

/**
 * Computes what vouches in a new image for the id of the image that it takes the place of (format.md §10).
 * @param oldId 32 hexadecimal digits
 */
export function replacesMac(header: Header, imageKey: Secret, oldId: string): Buffer {
  return withKey(header, imageKey, (key) => headerMac(primitives(), key, message(oldId)));
}

/** Returns whether a holder of the image key of a new image has vouched for the id of the old one. */
export function verifyReplacesMac(header: Header, imageKey: Secret, oldId: string, mac: Uint8Array): boolean {
  return withKey(header, imageKey, (key) => verifyHeaderMac(primitives(), key, message(oldId), mac));
}

/** No header has this encoding: that begins with a brace. */
function message(oldId: string): Buffer {
  return Buffer.from(`ckptfs 1 replaces ${oldId}`, 'ascii');
}

function withKey<T>({ imageId }: Header, imageKey: Secret, use: (key: Secret) => T): T {
  const key = deriveHeaderMacKey(primitives(), imageKey, imageId);
  try {
    return use(key);
  } finally {
    key.wipe();
  }
}
