import type { CipherName } from '../format/ciphers.ts';
import type { Geometry } from '../format/geometry.ts';
import { AeadChunkCipher } from './chunk-aead.ts';
import type { ChunkCipher } from './chunk-cipher.ts';
import { MacChunkCipher } from './chunk-mac.ts';
import { deriveObjectDataKey, deriveObjectMacKey } from './image-keys.ts';
import type { Primitives } from './primitives.ts';
import type { Secret } from './secret.ts';

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
