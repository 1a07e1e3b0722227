import fs from 'node:fs';
import { ioError } from '../base/errors.ts';
import { discardDirectory } from '../stores/discard-directory.ts';

/** What was made for an image of which nobody has need: plain data, so that another process can take it back. */
export interface MadeImage {
  /** Directory of the image, absolute. */
  readonly location: string;
  /** Which directory that is, whatever stands at the path by now: `DEVICE:INODE`. */
  readonly directory: string;
  /** Whether the directory itself was made for it. */
  readonly isNewDirectory: boolean;
  /** Path of the key that was made for it alone. */
  readonly keyFile?: string;
}

/**
 * Takes back an image that was made a moment ago, and then the key that was made for it, which opens nothing else. Leaves everything alone
 * when another directory stands at the path.
 * @returns whether it was taken back
 * @throws CkptfsError `locked` while it is read or written, `io`; the key is then still there
 */
export function discardImage({ location, directory, isNewDirectory, keyFile }: MadeImage): boolean {
  if (!discardDirectory(location, directory, isNewDirectory)) return false;
  if (keyFile === undefined) return true;
  try {
    fs.unlinkSync(keyFile);
  } catch (cause) {
    throw ioError('remove key file', keyFile, cause);
  }
  return true;
}
