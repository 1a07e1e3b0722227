import { headerMac } from '../../crypto/header-mac.ts';
import { deriveHeaderMacKey } from '../../crypto/image-keys.ts';
import type { Secret } from '../../crypto/secret.ts';
import { primitives } from '../../crypto/select.ts';

/** No header has this encoding: that begins with a brace. */
const LABEL = Buffer.from('ckptfs 1 lease', 'ascii');

/**
 * Returns what tells one image key from another, and nothing of the key. An attacker who has the storage can put a
 * header there, with the id of an image, that another key opens to an image key of the attacker's.
 * @param imageId 32 hexadecimal digits
 */
export function keyMark(imageKey: Secret, imageId: string): string {
  const p = primitives();
  const key = deriveHeaderMacKey(p, imageKey, Buffer.from(imageId, 'hex'));
  try {
    return headerMac(p, key, LABEL).toString('base64url');
  } finally {
    key.wipe();
  }
}
