import { CkptfsError } from '../base/errors.ts';
import { refused } from '../image/signatures/check.ts';
import { isCriuDirectory } from '../stores/criu-mark.ts';
import type { CriuDirectory } from './criu-directory.ts';
import { EncryptedImage, type ReadOptions } from './encrypted-image.ts';
import type { CriuKeys } from './unlock-criu.ts';

export { isCriuDirectory } from '../stores/criu-mark.ts';

/** What either kind of image is opened with. */
export type OpenEither = ReadOptions & CriuKeys;

/**
 * Opens a sealed image, or a directory that CRIU encrypted.
 * @throws as `EncryptedImage.open` and `CriuDirectory.open`; CkptfsError `untrusted` where a signature is demanded of
 *   what CRIU encrypted
 */
export async function openReadable(location: string, options: OpenEither): Promise<EncryptedImage | CriuDirectory> {
  try {
    return await EncryptedImage.open(location, options);
  } catch (error) {
    const isOther = error instanceof CkptfsError && error.code === 'not-an-image';
    if (!isOther || !isCriuDirectory(location)) throw error;
  }
  if (options.signature !== undefined) throw unsigned(location);
  const { CriuDirectory } = await import('./criu-directory.ts');
  return CriuDirectory.open(location, options);
}

/** Makes the error of a signature that is demanded of a directory that CRIU encrypted. */
export function unsigned(location: string): CkptfsError {
  return refused(location, 'unsigned', 'was encrypted by CRIU, whose format has no signatures');
}
