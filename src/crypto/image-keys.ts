import type { AeadCipherName, CipherName } from '../format/ciphers.ts';
import { keyLabels } from '../format/labels.ts';
import { ID_SIZE } from '../format/manifest.ts';
import type { Primitives } from './primitives.ts';
import { Secret } from './secret.ts';

/** Derives keys from the image key (format.md §3). Each id has 16 bytes. The caller wipes the key that it gets. */

export const IMAGE_KEY_SIZE = 32;
const MAC_KEY_SIZE = 32;

const DATA_KEY_SIZES = { 'aes-256-xts': 64, 'aes-128-xts': 32, 'chacha20-poly1305': 32, 'aes-256-gcm': 32 } as const;

export function deriveHeaderMacKey(p: Primitives, imageKey: Secret, imageId: Uint8Array): Secret {
  return derive(p, imageKey, imageId, keyLabels.headerMac, 32);
}

export function deriveManifestKey(p: Primitives, imageKey: Secret, imageId: Uint8Array): Secret {
  return derive(p, imageKey, imageId, keyLabels.manifest, 32);
}

/**
 * Derives the key that one seal of a manifest of suite `fips` is encrypted under.
 * @param random the bytes that are stored in the place of a nonce
 */
export function deriveManifestSealKey(p: Primitives, manifestKey: Secret, random: Uint8Array): Secret {
  return derive(p, manifestKey, random, keyLabels.manifestSeal, 32);
}

/**
 * Derives the key that one frame of a journal of suite `fips` is encrypted under, into memory for all of them: locking
 * pages for each would cost more than the rest.
 * @param random the bytes that are stored in the place of a nonce
 * @param to 32 bytes
 */
export function deriveFrameKey(
  p: Primitives,
  journalKey: Secret,
  number: number,
  random: Uint8Array,
  to: Secret,
): void {
  const salt = Buffer.alloc(8 + random.length);
  salt.writeBigUInt64LE(BigInt(number));
  salt.set(random, 8);
  p.hkdfSha256(journalKey.bytes, salt, Buffer.from(keyLabels.journalFrame, 'ascii'), to.bytes);
}

/** Derives the key of one journal's frames. @param journalId 16 bytes */
export function deriveJournalKey(p: Primitives, imageKey: Secret, imageId: Uint8Array, journalId: Uint8Array): Secret {
  return derive(p, imageKey, Buffer.concat([imageId, journalId]), keyLabels.journal, 32);
}

/** Derives the key that encrypts an object's sectors: 64 bytes for aes-256-xts, otherwise 32. */
export function deriveObjectDataKey(
  p: Primitives,
  cipher: Exclude<CipherName, 'none'>,
  imageKey: Secret,
  imageId: Uint8Array,
  objectId: Uint8Array,
): Secret {
  return deriveForObject(p, imageKey, imageId, objectId, keyLabels.objectData(cipher), DATA_KEY_SIZES[cipher]);
}

/** Derives the GMAC key of an object. */
export function deriveObjectMacKey(
  p: Primitives,
  cipher: Exclude<CipherName, AeadCipherName>,
  imageKey: Secret,
  imageId: Uint8Array,
  objectId: Uint8Array,
): Secret {
  return deriveForObject(p, imageKey, imageId, objectId, keyLabels.objectMac(cipher), MAC_KEY_SIZE);
}

/**
 * Derives the id of an object of an image that is made by re-encryption (format.md §10), which is not secret.
 * @param manifestDigest SHA-256 of the file `manifest` of the image that is re-encrypted
 * @param number of the object, from 0
 */
export function deriveObjectId(
  p: Primitives,
  imageKey: Secret,
  imageId: Uint8Array,
  manifestDigest: Uint8Array,
  number: number,
): Buffer {
  const salt = Buffer.concat([imageId, manifestDigest, Buffer.alloc(8)]);
  salt.writeBigUInt64LE(BigInt(number), salt.length - 8);
  const id = Buffer.alloc(ID_SIZE);
  p.hkdfSha256(imageKey.bytes, salt, Buffer.from(keyLabels.reencryptedObject, 'ascii'), id);
  return id;
}

function deriveForObject(
  p: Primitives,
  imageKey: Secret,
  imageId: Uint8Array,
  objectId: Uint8Array,
  label: string,
  length: number,
): Secret {
  return derive(p, imageKey, Buffer.concat([imageId, objectId]), label, length);
}

function derive(p: Primitives, from: Secret, salt: Uint8Array, label: string, length: number): Secret {
  const key = Secret.zeros(length);
  p.hkdfSha256(from.bytes, salt, Buffer.from(label, 'ascii'), key.bytes);
  return key;
}
