import { existsSync, statSync } from 'node:fs';
import { absolutePath } from '../base/current-directory.ts';
import { ioError } from '../base/errors.ts';
import type { Secret } from '../crypto/secret.ts';
import type { CipherName } from '../format/ciphers.ts';
import type { MakeSlots } from '../image/create/new-header.ts';
import type { MadeImage } from '../image/discard-image.ts';
import { beginImage } from '../image/writable/begin-image.ts';
import type { NewInode } from '../image/writable/writable-image.ts';
import { createStore } from '../stores/open-store.ts';
import type { WritableStore } from '../stores/writable-store.ts';

export { isVacant } from '../stores/open-store.ts';

export interface NewImageOptions {
  /** A directory that does not exist, or is empty, this user's own, and nobody else's to write to. */
  readonly destination: string;
  /** Wraps the image key, once for each recipient. */
  readonly makeSlots: MakeSlots;
  /** The root directory; by default of the user who makes it, with mode 0700. See {@link rootLike}. */
  readonly root?: NewInode;
  /** Default `aes-256-xts`. */
  readonly cipher?: CipherName;
  /** Bytes: a power of two from 4096 to 65536; default 16384. */
  readonly chunkSize?: number;
}

export interface NewImage {
  /** 32 hexadecimal digits. */
  readonly imageId: string;
  /** To mount it with; the caller wipes it. */
  readonly imageKey: Secret;
  /** For `discardImage`, should nothing come of it. */
  readonly made: MadeImage;
}

/** All rights of a directory's owner. */
const OWNER_MODE = 0o700;

/**
 * Makes the root of a new image look like the directory that it will be mounted on, as users expect of a mount: its mode, but with all rights
 * for the owner; and, as only root can give things away, its owner for root, else the user.
 * @throws CkptfsError `io`
 */
export function rootLike(directory: string): NewInode {
  try {
    const { mode, uid, gid } = statSync(directory);
    return { ...ownRoot(), mode: (mode & 0o7777) | OWNER_MODE, ...(process.geteuid?.() === 0 && { uid, gid }) };
  } catch (cause) {
    throw ioError('look at', directory, cause);
  }
}

/** By default: of this user, for nobody else. */
export function ownRoot(): NewInode {
  return { mode: OWNER_MODE, uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };
}

/**
 * Makes an image with nothing in it but its root directory, to be mounted with `write`. It is unsealed.
 * @throws CkptfsError `bad-argument`, `exists`, `io`
 */
export async function createEmptyImage({
  destination,
  root = ownRoot(),
  ...options
}: NewImageOptions): Promise<NewImage> {
  const isNewDirectory = !existsSync(destination);
  const store = createStore(destination);
  const made = madeIn(store, destination, isNewDirectory);
  try {
    const { header, imageKey } = await beginImage(store, { ...options, root });
    return { imageId: header.imageId.toString('hex'), imageKey, made };
  } finally {
    store.close();
  }
}

/** What `discardImage` has to know of an image that was made in a new store. @throws CkptfsError `io` */
export function madeIn(store: WritableStore, destination: string, isNewDirectory: boolean): MadeImage {
  const { device, inode } = store.identity();
  return { location: absolutePath(destination), directory: `${device}:${inode}`, isNewDirectory };
}
