import type { Region } from '../base/native.ts';
import type { CipherName } from '../format/ciphers.ts';
import type { Geometry } from '../format/geometry.ts';
import { AeadChunkCipher } from './chunk-aead.ts';
import { MacChunkCipher } from './chunk-mac.ts';
import { deriveObjectDataKey, deriveObjectMacKey } from './image-keys.ts';
import type { Primitives } from './primitives.ts';
import type { Secret } from './secret.ts';

/**
 * Protects the chunks of one object (format.md §6, §7). Regions and offsets name where a whole chunk (chunkSize bytes) or a
 * record (32 bytes) lies. Nothing is kept between calls. Belongs to one thread.
 */
export interface ChunkCipher {
  /**
   * Seals a chunk and fills the record's tag, holes and flags; its nonce must already stand there, random and never used
   * before. Hole sectors of `plain` are not looked at, and are zeros in `stored`. The two may be the same place.
   * @param index of the chunk in the object
   * @param holes bit s set means that sector s is a hole
   */
  seal(
    index: number,
    holes: number,
    plain: Region,
    plainOffset: number,
    stored: Region,
    storedOffset: number,
    record: Region,
    recordOffset: number,
  ): void;
  /**
   * Checks the record's form and authenticates the chunk, then brings it, in place, to the form {@link read} takes.
   * Hole sectors may hold anything, before and after.
   * @returns false when it is not authentic; the chunk's bytes are then wiped
   */
  open(index: number, stored: Region, storedOffset: number, record: Region, recordOffset: number): boolean;
  /** Gives the plaintext of `count` sectors of an opened chunk, zeros for holes. `to` must not overlap the chunk. */
  read(
    record: Region,
    recordOffset: number,
    opened: Region,
    openedOffset: number,
    firstSector: number,
    count: number,
    to: Region,
    toOffset: number,
  ): void;
  /** Wipes the keys; further use throws. */
  dispose(): void;
}

/** @param imageId 16 bytes @param objectId 16 bytes */
export function createChunkCipher(
  p: Primitives,
  cipher: CipherName,
  imageKey: Secret,
  imageId: Uint8Array,
  objectId: Uint8Array,
  geometry: Geometry,
): ChunkCipher {
  if (cipher === 'chacha20-poly1305') {
    const dataKey = deriveObjectDataKey(p, cipher, imageKey, imageId, objectId);
    return withKey(dataKey, (key) => new AeadChunkCipher(p.chacha20Poly1305(key), objectId, geometry));
  }
  const gmac = withKey(deriveObjectMacKey(p, cipher, imageKey, imageId, objectId), (key) => p.gmac(key));
  if (cipher === 'none') return new MacChunkCipher(gmac, undefined, objectId, geometry);
  const xts = withKey(deriveObjectDataKey(p, cipher, imageKey, imageId, objectId), (key) => p.xts(key));
  return new MacChunkCipher(gmac, xts, objectId, geometry);
}

function withKey<T>(key: Secret, use: (bytes: Uint8Array) => T): T {
  try {
    return use(key.bytes);
  } finally {
    key.wipe();
  }
}
