import { MalformedError } from '../../base/bytes.ts';
import { CkptfsError } from '../../base/errors.ts';
import { deriveManifestKey } from '../../crypto/image-keys.ts';
import { sealManifest } from '../../crypto/manifest-aead.ts';
import type { Secret } from '../../crypto/secret.ts';
import { primitives } from '../../crypto/select.ts';
import { randomBytes } from '../../crypto/system-random.ts';
import type { LastingHeader } from '../../format/header.ts';
import type { Manifest } from '../../format/manifest.ts';
import { encodeManifest } from '../../format/manifest-codec.ts';
import {
  encodeManifestEnvelope,
  MANIFEST_NONCE_SIZE,
  MAX_MANIFEST_SIZE,
  manifestAdditionalData,
} from '../../format/manifest-envelope.ts';

/**
 * Returns the bytes of the file `manifest` of an image (format.md §5).
 * @throws CkptfsError `unsupported-source` when the tree breaks a rule of the format
 */
export function manifestFile(
  manifest: Manifest,
  imageKey: Secret,
  { imageId, suite, cipher, chunkSize }: LastingHeader,
): Buffer {
  const key = deriveManifestKey(primitives(), imageKey, imageId);
  try {
    const nonce = randomBytes(MANIFEST_NONCE_SIZE);
    const plain = encodeManifest(manifest, chunkSize);
    const sealed = sealManifest(key, nonce, manifestAdditionalData(imageId, cipher, chunkSize), plain, suite);
    const file = encodeManifestEnvelope({ nonce, sealed });
    if (file.length > MAX_MANIFEST_SIZE) throw new MalformedError(`its manifest would have ${file.length} bytes`);
    return file;
  } catch (cause) {
    if (!(cause instanceof MalformedError)) throw cause;
    throw new CkptfsError('unsupported-source', `the tree cannot be kept in an image: ${cause.message}`, {
      data: { reason: 'unrepresentable' },
      cause,
    });
  } finally {
    key.wipe();
  }
}
