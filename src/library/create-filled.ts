import { existsSync } from 'node:fs';
import { checkCompression } from '../compression/check-compression.ts';
import type { Secret } from '../crypto/secret.ts';
import type { Signer } from '../crypto/signer.ts';
import type { CreatedImage } from '../image/create/create.ts';
import { discardImage } from '../image/discard-image.ts';
import { signSealed } from '../image/sign-image.ts';
import type { Cancellation } from '../image/workers/worker-pool.ts';
import { beginImage } from '../image/writable/begin-image.ts';
import { openWritable } from '../image/writable/open-writable.ts';
import type { NewInode, WritableImage } from '../image/writable/writable-image.ts';
import { createStore } from '../stores/open-store.ts';
import { madeIn, type NewImageOptions } from './new-image.ts';
import { verifyUnlocked } from './verify-unlocked.ts';

export interface CreateFilledOptions extends Omit<NewImageOptions, 'root'>, Cancellation {
  /** Sign the image. */
  readonly signers?: readonly Signer[];
  /** Read and authenticate all of the image when it is sealed. */
  readonly verify?: boolean;
}

/**
 * Makes an image that is filled while it is written, without plaintext on a disk, seals and signs it. When that fails
 * the destination is as it was before. When the process is killed, the image is unfinished, so that a part of the
 * files is not taken for all of them.
 * @param fill is cancellable from its start on
 * @throws CkptfsError `exists`, `io`, `bad-argument`, `missing-feature`, `damaged` when it is verified; what `fill`
 * throws
 */
export async function createFilled(
  { destination, signers = [], verify = false, onCancellable, compression, ...options }: CreateFilledOptions,
  root: NewInode,
  fill: (image: WritableImage) => Promise<Omit<CreatedImage, 'imageId'>>,
): Promise<CreatedImage> {
  checkCompression(compression);
  const isNewDirectory = !existsSync(destination);
  const store = createStore(destination, true);
  const made = madeIn(store, destination, isNewDirectory);
  let imageKey: Secret | undefined;
  try {
    const begun = await beginImage(store, { ...options, compression: compression?.name, root });
    imageKey = begun.imageKey;
    onCancellable?.(true);
    const filled = await fillAndSeal(openWritable(store, begun.header, imageKey, { effort: compression }), fill);
    if (signers.length > 0) signSealed(store, begun.header, imageKey, signers);
    if (verify) await verifyUnlocked(destination, imageKey, options.signal);
    store.close();
    return { imageId: begun.header.imageId.toString('hex'), ...filled };
  } catch (error) {
    store.close();
    discardImage(made);
    throw error;
  } finally {
    onCancellable?.(false);
    imageKey?.wipe();
  }
}

async function fillAndSeal<T>(image: WritableImage, fill: (image: WritableImage) => Promise<T>): Promise<T> {
  try {
    const filled = await fill(image);
    image.seal();
    return filled;
  } finally {
    image.close();
  }
}
