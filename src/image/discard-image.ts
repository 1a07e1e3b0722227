import { unlinkSync } from 'node:fs';
import { ioError } from '../base/errors.ts';
import { discardDirectory } from '../stores/discard-directory.ts';

/** What was made for a new image: plain data, so that another process can take it back. */
export interface MadeImage {
  /** Directory of the image, absolute. */
  readonly location: string;
  /** `DEVICE:INODE` of that directory: the path may lead to another one later. */
  readonly directory: string;
  /** Whether the directory itself was made for it. */
  readonly isNewDirectory: boolean;
  /** Path of the key that was made for it alone. */
  readonly keyFile?: string;
}

/**
 * Removes an image that was just made, and then the key that was made for it, which opens nothing else. Removes nothing
 * if another directory is at the path.
 * @returns whether the image was removed
 * @throws CkptfsError `locked` while the image is read or written, `io`; the key then still exists
 */
export function discardImage({ location, directory, isNewDirectory, keyFile }: MadeImage): boolean {
  if (!discardDirectory(location, directory, isNewDirectory)) return false;
  if (keyFile === undefined) return true;
  try {
    unlinkSync(keyFile);
  } catch (cause) {
    throw ioError('remove key file', keyFile, cause);
  }
  return true;
}
