import type { Secret } from '../crypto/secret.ts';
import type { Signer } from '../crypto/signer.ts';
import type { Header } from '../format/header.ts';
import { readAnyHeader } from '../image/read/image.ts';
import { recoverImage as recover, sealImage as seal } from '../image/writable/close-unsealed.ts';
import { openWritableStore } from '../stores/open-store.ts';
import type { WritableStore } from '../stores/writable-store.ts';
import { type OpenOptions, unlockHeader } from './unlock.ts';

export interface SealOptions extends OpenOptions {
  /** Is called with one line for each thing that is not as it should be. */
  readonly onWarning?: (line: string) => void;
  /** Sign the image; a sealed one is signed as by `signImage`. */
  readonly signers?: readonly Signer[];
}

export interface SealedImage {
  /** 32 hexadecimal digits. */
  readonly imageId: string;
}

export interface RecoveredImage {
  /** 32 hexadecimal digits. */
  readonly imageId: string;
  /** What is lost, in one sentence; undefined when nothing is lost that a writer was told is stored. */
  readonly dropped: string | undefined;
}

/**
 * Seals an image that a writable mount left unsealed. Leaves a sealed image as it is.
 * @throws CkptfsError `locked`; `unsealed` when contents would be lost, see {@link recoverImage}; `not-an-image`,
 * `unfinished`, `unsupported-format`, `unsupported-source`, `damaged`, `wrong-image`, `no-key`, `wrong-key`, `io`
 */
export function sealImage(location: string, options: SealOptions): Promise<SealedImage> {
  return withUnlocked(location, options, (store, header, imageKey, imageId) => {
    seal(store, header, imageKey, options.onWarning, options.signers);
    return { imageId };
  });
}

/**
 * Gives up what an image has lost that a writable mount left unsealed, so that it can be sealed and written again. It
 * stays unsealed.
 * @throws CkptfsError `locked` and the codes of {@link sealImage} that follow `unsealed`
 */
export function recoverImage(location: string, options: SealOptions): Promise<RecoveredImage> {
  return withUnlocked(location, options, (store, header, imageKey, imageId) => ({
    imageId,
    dropped: recover(store, header, imageKey, options.onWarning).dropped,
  }));
}

async function withUnlocked<T>(
  location: string,
  options: OpenOptions,
  work: (store: WritableStore, header: Header, imageKey: Secret, imageId: string) => T,
): Promise<T> {
  const store = openWritableStore(location);
  try {
    const header = readAnyHeader(store);
    const { imageKey } = await unlockHeader(store, header, options);
    try {
      return work(store, header, imageKey, header.imageId.toString('hex'));
    } finally {
      imageKey.wipe();
    }
  } finally {
    store.close();
  }
}
