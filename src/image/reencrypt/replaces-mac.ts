import { createHash } from 'node:crypto';
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
  return withKey(header, imageKey, (key) => headerMac(primitives(), key, ofOld(oldId)));
}

/** Returns whether a holder of the image key of a new image has vouched for the id of the old one. */
export function verifyReplacesMac(header: Header, imageKey: Secret, oldId: string, mac: Uint8Array): boolean {
  return withKey(header, imageKey, (key) => verifyHeaderMac(primitives(), key, ofOld(oldId), mac));
}

/** The files of a new image that is whole, which lead to every byte of it. */
export interface WholeImage {
  /** 32 hexadecimal digits. */
  readonly imageId: string;
  readonly header: Uint8Array;
  readonly manifest: Uint8Array;
}

/**
 * Computes what vouches, by the old image key, for the new image that takes its place.
 * @param header of the old image
 */
export function replacedMac(header: Header, imageKey: Secret, by: WholeImage): Buffer {
  return withKey(header, imageKey, (key) => headerMac(primitives(), key, ofNew(by)));
}

/** Returns whether a holder of the image key of an old image has vouched for the new one. */
export function verifyReplacedMac(header: Header, imageKey: Secret, by: WholeImage, mac: Uint8Array): boolean {
  return withKey(header, imageKey, (key) => verifyHeaderMac(primitives(), key, ofNew(by), mac));
}

/** No header has this encoding, nor that of {@link ofNew}: that begins with a brace. */
function ofOld(oldId: string): Buffer {
  return Buffer.from(`ckptfs 1 replaces ${oldId}`, 'ascii');
}

function ofNew({ imageId, header, manifest }: WholeImage): Buffer {
  const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
  return Buffer.from(`ckptfs 1 replaced by ${imageId} ${digest(header)} ${digest(manifest)}`, 'ascii');
}

function withKey<T>({ imageId }: Header, imageKey: Secret, use: (key: Secret) => T): T {
  const key = deriveHeaderMacKey(primitives(), imageKey, imageId);
  try {
    return use(key);
  } finally {
    key.wipe();
  }
}
