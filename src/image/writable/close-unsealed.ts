import type { Secret } from '../../crypto/secret.ts';
import type { Signer } from '../../crypto/signer.ts';
import type { Header } from '../../format/header.ts';
import type { WritableStore } from '../../stores/writable-store.ts';
import { type ImageContext, imageContext } from '../objects/image-context.ts';
import { authenticateHeader } from '../read/image.ts';
import { signSealed } from '../sign-image.ts';
import { endSealing, sealState } from './commit/seal-state.ts';
import { JournalWriter } from './journal/journal-writer.ts';
import { Snapshot } from './journal/snapshot.ts';
import { FileChunks } from './model/file-chunks.ts';
import { describeUnended } from './model/left-files.ts';
import { HolePuncher, type WarningListener } from './objects/hole-puncher.ts';
import { removeUnnamed } from './objects/unnamed-objects.ts';
import { finishReplayed, withSpace } from './recovery/finish-replayed.ts';
import { type FoundImage, findImage } from './recovery/load-state.ts';
import { lockImage, missing, refuseDropping, storedIds } from './recovery/take-over.ts';

export interface RecoveredImage {
  /** What is lost, in one clause; undefined when nothing that was committed is. */
  readonly dropped: string | undefined;
}

/**
 * Seals an image that was left unsealed. A sealed image stays as it is, but for signatures that are added to it.
 * @param header not authenticated yet
 * @param onWarning is called, once the image is sealed, also for what its writer had not ended: files that were open,
 * dumps that look incomplete
 * @throws CkptfsError `locked`; `unsealed` when something would be lost, so that {@link recoverImage} has to be used;
 * `unfinished`, `damaged`, `unsupported-source`, `io`
 */
export function sealImage(
  store: WritableStore,
  header: Header,
  imageKey: Secret,
  onWarning: WarningListener = () => undefined,
  signers: readonly Signer[] = [],
): void {
  const image = imageContext(store, header, imageKey);
  const puncher = new HolePuncher(image, onWarning);
  withLock(image, onWarning, (found) => {
    if (found.kind === 'sealed') {
      endIfBegun(image, found, puncher);
      if (signers.length > 0) signSealed(store, header, imageKey, signers);
      return;
    }
    const { state, dropped } = found;
    refuseDropping(store, missing(state, dropped));
    const warnings = describeUnended(state.tree);
    const chunks = new FileChunks(image.geometry, state.objects);
    const stored = storedIds(store);
    withSpace(image, state.objects, onWarning, () => {
      finishReplayed(image, state.objects);
      sealState({ image, state, chunks, puncher, signers }, stored);
    });
    for (const warning of warnings) onWarning(warning);
  });
}

/**
 * Drops what is lost of an image that was left unsealed, so that it can be sealed or continued. It does not seal it. An
 * image of which nothing is lost stays as it is.
 * @param header not authenticated yet
 * @throws CkptfsError `locked`, `unfinished`, `damaged`, `unsupported-source`, `io`
 */
export function recoverImage(
  store: WritableStore,
  header: Header,
  imageKey: Secret,
  onWarning: WarningListener = () => undefined,
): RecoveredImage {
  const image = imageContext(store, header, imageKey);
  return withLock(image, onWarning, (found) => {
    if (found.kind === 'sealed') {
      endIfBegun(image, found, new HolePuncher(image, onWarning));
      return { dropped: undefined };
    }
    const stored = storedIds(store);
    const { state } = found;
    const dropped = missing(state, found.dropped);
    if (dropped === undefined) return { dropped };
    for (const inode of state.tree.inodes()) if (inode.type === 'file') inode.lost = false;
    withSpace(image, state.objects, onWarning, () => {
      finishReplayed(image, state.objects);
      const snapshot = new Snapshot(state, new FileChunks(image.geometry, state.objects));
      JournalWriter.draft(image, snapshot.entries())().close();
    });
    const live = state.objects.objects.filter((object) => object.live > 0);
    removeUnnamed(image, stored, live, onWarning);
    store.syncNames();
    return { dropped };
  });
}

/** Does the rest of a seal that was interrupted after its manifest was in place (W19). */
function endIfBegun(
  image: ImageContext<WritableStore>,
  found: FoundImage & { kind: 'sealed' },
  puncher: HolePuncher,
): void {
  if (found.hasStaleJournal) endSealing(image, found.manifest, storedIds(image.store), puncher);
}

/** Does something to an image that was left, with the lock of its writer. */
function withLock<T>(
  image: ImageContext<WritableStore>,
  onWarning: WarningListener,
  work: (found: FoundImage) => T,
): T {
  authenticateHeader(image.store, image.header, image.imageKey);
  const lock = lockImage(image.store, onWarning);
  try {
    return work(findImage(image));
  } finally {
    lock.release();
  }
}
