import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Secret } from '../crypto/secret.ts';
import type { CipherName } from '../format/ciphers.ts';
import type { MadeImage } from '../image/discard-image.ts';
import type { MakeSlots } from '../image/new-header.ts';
import { beginImage } from '../image/writable/begin-image.ts';
import { directoryIdentity } from '../stores/discard-directory.ts';
import { createStore, isVacant } from '../stores/open-store.ts';

export interface NewImageOptions {
  /** A directory that does not exist, or is empty, this user's own, and nobody else's to write to. */
  readonly destination: string;
  /** Wraps the image key, once for each recipient. */
  readonly makeSlots: MakeSlots;
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

/** The root directory belongs to who makes the image, and nobody else gets in: what is kept in images is no one else's business. */
const ROOT_MODE = 0o700;

/**
 * Makes an image with nothing in it but its root directory, to be mounted with `write`. It is unsealed.
 * @throws CkptfsError `bad-argument`, `exists`, `io`
 */
export async function createEmptyImage({ destination, ...options }: NewImageOptions): Promise<NewImage> {
  const isNewDirectory = !existsSync(destination);
  const store = createStore(destination);
  const made = { location: resolve(destination), directory: directoryIdentity(destination), isNewDirectory };
  try {
    const root = { mode: ROOT_MODE, uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };
    const { header, imageKey } = await beginImage(store, { ...options, root });
    return { imageId: header.imageId.toString('hex'), imageKey, made };
  } finally {
    store.close();
  }
}

/** Whether there is nothing at a location, so that an image can be made there. @throws CkptfsError `io` */
export function isVacantLocation(location: string): boolean {
  return isVacant(location);
}
