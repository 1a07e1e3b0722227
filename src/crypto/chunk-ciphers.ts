import { CkptfsError } from '../base/errors.ts';
import type { CipherName } from '../format/ciphers.ts';
import { type Geometry, SECTOR_TAG_SIZE } from '../format/geometry.ts';
import { NONCE_SIZE } from '../format/record.ts';
import type { ChunkCipher } from './chunk-cipher.ts';
import { deriveObjectDataKey, deriveObjectMacKey } from './image-keys.ts';
import type { NonceSize, Primitives } from './primitives.ts';
import { SealedSectors } from './sealed-sectors.ts';
import type { Secret } from './secret.ts';
import { AeadSectorCipher } from './sector-aead.ts';
import type { SectorCipher } from './sector-cipher.ts';
import { MacSectorCipher } from './sector-mac.ts';

/**
 * Makes the cipher for the chunks of one object. The caller disposes of it.
 * @param imageId 16 bytes
 * @param objectId 16 bytes
 */
export function createChunkCipher(
  p: Primitives,
  cipher: CipherName,
  imageKey: Secret,
  imageId: Uint8Array,
  objectId: Uint8Array,
  geometry: Geometry,
): ChunkCipher {
  return new SealedSectors(
    sectorCipher(p, cipher, imageKey, imageId, objectId, geometry.sectorNonceSize),
    objectId,
    geometry,
  );
}

function sectorCipher(
  p: Primitives,
  cipher: CipherName,
  imageKey: Secret,
  imageId: Uint8Array,
  objectId: Uint8Array,
  nonceSize: NonceSize,
): SectorCipher {
  if (cipher === 'chacha20-poly1305' || cipher === 'aes-256-gcm') {
    // Of a longer nonce it would use the beginning, which all sectors of a chunk have in common.
    if (cipher === 'chacha20-poly1305' && nonceSize !== NONCE_SIZE) {
      throw new CkptfsError('internal', `${cipher} has no nonces of ${nonceSize} bytes`);
    }
    const dataKey = deriveObjectDataKey(p, cipher, imageKey, imageId, objectId);
    return withKey(dataKey, (key) => {
      const isGcm = cipher === 'aes-256-gcm';
      const aead = isGcm ? p.aes256Gcm(key, SECTOR_TAG_SIZE, nonceSize) : p.chacha20Poly1305(key, SECTOR_TAG_SIZE);
      return new AeadSectorCipher(aead);
    });
  }
  const macKey = deriveObjectMacKey(p, cipher, imageKey, imageId, objectId);
  const gmac = withKey(macKey, (key) => p.gmac(key, SECTOR_TAG_SIZE, nonceSize));
  if (cipher === 'none') return new MacSectorCipher(gmac, undefined);
  const dataKey = deriveObjectDataKey(p, cipher, imageKey, imageId, objectId);
  return withKey(dataKey, (key) => new MacSectorCipher(gmac, p.xts(key)));
}

function withKey<T>(key: Secret, use: (bytes: Uint8Array) => T): T {
  try {
    return use(key.bytes);
  } finally {
    key.wipe();
  }
}
