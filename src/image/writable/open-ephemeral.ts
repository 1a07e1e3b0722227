import { timeAt } from '../../base/time.ts';
import type { Secret } from '../../crypto/secret.ts';
import type { CipherName } from '../../format/ciphers.ts';
import type { SuiteName } from '../../format/suites.ts';
import type { WritableStore } from '../../stores/writable-store.ts';
import type { MadeImage } from '../discard-image.ts';
import { imageContext } from '../objects/image-context.ts';
import { assembleImage, type WritableOptions } from './assemble-image.ts';
import { emptyState } from './empty-state.ts';
import { HolePuncher } from './objects/hole-puncher.ts';
import { lockImage } from './recovery/take-over.ts';
import type { NewInode, WritableImage } from './writable-image.ts';

/** What an ephemeral image is, which no header says (format.md §4): plain data, for the process that serves it. */
export interface EphemeralImage {
  /** 32 hexadecimal digits. */
  readonly imageId: string;
  readonly suite?: SuiteName;
  readonly cipher: CipherName;
  /** Bytes. */
  readonly chunkSize: number;
  /** The root directory. */
  readonly root: NewInode;
  /** What `discardImage` needs to remove it. */
  readonly made: MadeImage;
}

/**
 * Opens an ephemeral image, which is empty, to be written. It holds the lock of the image until it is closed, and can
 * be opened no second time.
 * @param store has nothing but the mark in place of a header
 * @param imageKey a random one; the caller wipes it, after the image is closed
 * @throws CkptfsError `locked`, `damaged`, `io`
 */
export function openEphemeral(
  store: WritableStore,
  { imageId, suite, cipher, chunkSize, root }: EphemeralImage,
  imageKey: Secret,
  options: WritableOptions = {},
): WritableImage {
  // Nothing of this is ever stored, so nothing has to open it or be authenticated.
  const header = { imageId: Buffer.from(imageId, 'hex'), suite, cipher, chunkSize, slots: [], mac: Buffer.alloc(0) };
  const image = imageContext(store, header, imageKey);
  const { onWarning = () => undefined, clock = Date.now } = options;
  const lock = lockImage(store, onWarning);
  try {
    const state = emptyState(root, timeAt(clock()));
    return assembleImage(image, state, { puncher: new HolePuncher(image, onWarning), lock }, options);
  } catch (error) {
    lock.release();
    throw error;
  }
}
