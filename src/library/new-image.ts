import { existsSync, statSync } from 'node:fs';
import { absolutePath } from '../base/current-directory.ts';
import { ioError } from '../base/errors.ts';
import { checkCompression } from '../compression/check-compression.ts';
import type { Compression } from '../compression/chunk-compressor.ts';
import type { Secret } from '../crypto/secret.ts';
import type { CipherName } from '../format/ciphers.ts';
import type { SuiteName } from '../format/suites.ts';
import type { MakeSlots } from '../image/create/new-header.ts';
import { discardImage, type MadeImage } from '../image/discard-image.ts';
import { beginImage } from '../image/writable/begin-image.ts';
import type { NewInode } from '../image/writable/writable-image.ts';
import { createStore } from '../stores/open-store.ts';
import type { WritableStore } from '../stores/writable-store.ts';

export { checkVacant, isVacant } from '../stores/open-store.ts';

export interface NewImageOptions {
  /** A directory that does not exist, or is empty, belongs to this user and cannot be written by others. */
  readonly destination: string;
  /** Wraps the image key, once for each recipient. */
  readonly makeSlots: MakeSlots;
  /** The root directory; by default it belongs to this user and has mode 0700. See {@link rootLike}. */
  readonly root?: NewInode;
  /** Default `default`. */
  readonly suite?: SuiteName;
  /** One of the suite; default `aes-256-xts`. */
  readonly cipher?: CipherName;
  /** Bytes: a power of two from 4096 to 65536; default 16384. */
  readonly chunkSize?: number;
  /** Compress chunks where that saves a sector; see the threat model (format.md §1). By default none. */
  readonly compression?: Compression;
}

export interface NewImage {
  /** 32 hexadecimal digits. */
  readonly imageId: string;
  /** Mounts the image. The caller wipes it. */
  readonly imageKey: Secret;
  /** What `discardImage` needs to remove the image. */
  readonly made: MadeImage;
}

/** Permission bits: all rights of the owner. */
const OWNER_MODE = 0o700;

/**
 * Returns a root for a new image that looks like the directory it will be mounted on: with its mode, but all rights for
 * the owner, and for root also with its owner. Another user's image belongs to that user, since only root can chown.
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

/** Returns the default root: it belongs to this user, and other users have no rights. */
export function ownRoot(): NewInode {
  return { mode: OWNER_MODE, uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };
}

/**
 * Makes an image with only a root directory, to be mounted with `write`. It is unsealed.
 * @throws CkptfsError `bad-argument`, `missing-feature`, `exists`, `io`; then the destination is as it was before
 */
export async function createEmptyImage({
  destination,
  root = ownRoot(),
  compression,
  ...options
}: NewImageOptions): Promise<NewImage> {
  checkCompression(compression);
  const isNewDirectory = !existsSync(destination);
  const store = createStore(destination);
  const made = madeIn(store, destination, isNewDirectory);
  try {
    const { header, imageKey } = await beginImage(store, { ...options, compression: compression?.name, root });
    store.close();
    return { imageId: header.imageId.toString('hex'), imageKey, made };
  } catch (error) {
    store.close();
    discardImage(made);
    throw error;
  }
}

/** Returns what `discardImage` needs to know of an image in a new store. @throws CkptfsError `io` */
export function madeIn(store: WritableStore, destination: string, isNewDirectory: boolean): MadeImage {
  const { device, inode } = store.identity();
  return { location: absolutePath(destination), directory: `${device}:${inode}`, isNewDirectory };
}
