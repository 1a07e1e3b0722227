import { isFailure } from '../../base/assert.ts';
import type { Secret } from '../../crypto/secret.ts';
import type { Header } from '../../format/header.ts';
import type { WritableStore, WriterLock } from '../../stores/writable-store.ts';
import { type ImageContext, imageContext } from '../objects/image-context.ts';
import { authenticateHeader } from '../read/image.ts';
import { assembleImage, type WritableOptions } from './assemble-image.ts';
import { endSealing } from './commit/seal-state.ts';
import { countUnended } from './model/left-files.ts';
import { HolePuncher } from './objects/hole-puncher.ts';
import { removeUnnamed } from './objects/unnamed-objects.ts';
import { finishReplayed, withSpace } from './recovery/finish-replayed.ts';
import { findImage, stateOf } from './recovery/load-state.ts';
import type { ReplayedJournal } from './recovery/replay-journal.ts';
import { lockImage, missing, refuseDropping, storedIds } from './recovery/take-over.ts';
import type { WritableImage } from './writable-image.ts';

export type { WritableOptions } from './assemble-image.ts';

/**
 * Opens an image to be written: a sealed one, which is unsealed from then on, or one that was left unsealed. It holds
 * the lock of the image until {@link WritableImage.close}.
 * @param header not authenticated yet
 * @param imageKey the caller wipes it, after the image is closed
 * @throws CkptfsError `locked`; `unsealed` when something would be lost, so that `recoverImage` has to be used;
 * `unfinished`, `damaged`, `io`; `unsupported-source` when the image has something that a journal cannot have
 */
export function openWritable(
  store: WritableStore,
  header: Header,
  imageKey: Secret,
  options: WritableOptions = {},
): WritableImage {
  const image = imageContext(store, header, imageKey);
  authenticateHeader(store, header, imageKey);
  const lock = lockImage(store, options.onWarning ?? ignore);
  try {
    return openLocked(image, lock, options);
  } catch (error) {
    lock.release();
    throw error;
  }
}

function openLocked(image: ImageContext<WritableStore>, lock: WriterLock, options: WritableOptions): WritableImage {
  const puncher = new HolePuncher(image, options.onWarning ?? ignore);
  const found = findImage(image);
  if (found.kind === 'unsealed') return continueUnsealed(image, found, { puncher, lock }, options);
  const { manifest, hasStaleJournal } = found;
  if (hasStaleJournal) endSealing(image, manifest, storedIds(image.store), puncher);
  return assembleImage(image, stateOf(manifest, image.geometry), { puncher, lock }, options);
}

/** Goes on with an image that a writer left unsealed. */
function continueUnsealed(
  image: ImageContext<WritableStore>,
  { state, dropped }: ReplayedJournal,
  resources: { readonly puncher: HolePuncher; readonly lock: WriterLock },
  options: WritableOptions,
): WritableImage {
  const { onWarning = ignore } = options;
  refuseDropping(image.store, missing(state, dropped));
  const unended = countUnended(state.tree);
  if (unended !== undefined) onWarning(unended);
  for (const inode of state.tree.inodes()) if (inode.type === 'file') inode.open = false;
  const stored = storedIds(image.store);
  const opened = withSpace(image, state.objects, onWarning, () => {
    finishReplayed(image, state.objects);
    return assembleImage(image, state, resources, options);
  });
  const live = state.objects.objects.filter((object) => object.live > 0);
  try {
    removeUnnamed(image, stored, live, onWarning, (id) => resources.puncher.remove(id));
  } catch (error) {
    // They only take space, and the next writer looks for them again.
    if (!isFailure(error)) throw error;
    onWarning(`objects that do not belong to the image were not removed: ${error.message}`);
  }
  return opened;
}

function ignore(): void {}
