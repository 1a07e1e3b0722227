import type { Secret } from '../../crypto/secret.ts';
import { Geometry } from '../../format/geometry.ts';
import type { Header } from '../../format/header.ts';
import type { WritableStore } from '../../stores/writable-store.ts';
import { authenticateHeader } from '../read/image.ts';
import { endSealing, sealState } from './commit/seal-state.ts';
import { JournalWriter } from './journal/journal-writer.ts';
import { Snapshot } from './journal/snapshot.ts';
import { FileChunks } from './model/file-chunks.ts';
import { describeUnended } from './model/left-files.ts';
import { HolePuncher, type WarningListener } from './objects/hole-puncher.ts';
import { removeUnnamed } from './objects/unnamed-objects.ts';
import { lockImage, missing, refuseDropping, storedIds } from './open-writable.ts';
import { finishReplayed, withRoom } from './recovery/finish-replayed.ts';
import { type FoundImage, findImage } from './recovery/load-state.ts';

export interface RecoveredImage {
  /** What is lost, in one clause; undefined when nothing that was committed is. */
  readonly dropped: string | undefined;
}

/**
 * Seals an image that was left unsealed. A sealed image stays as it is.
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
): void {
  const geometry = new Geometry(header.chunkSize);
  const puncher = new HolePuncher(store, geometry, onWarning);
  withImage(store, header, imageKey, geometry, onWarning, (found) => {
    if (found.kind === 'sealed') return endIfBegun(store, found, geometry, puncher);
    const { state, dropped } = found;
    refuseDropping(store, missing(state, dropped));
    const warnings = describeUnended(state.tree);
    const chunks = new FileChunks(geometry, state.objects);
    const stored = storedIds(store);
    withRoom(store, geometry, state.objects, onWarning, () => {
      finishReplayed(store, header, geometry, state.objects);
      sealState({ store, header, imageKey, geometry, state, chunks, puncher }, stored);
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
  const geometry = new Geometry(header.chunkSize);
  return withImage(store, header, imageKey, geometry, onWarning, (found) => {
    if (found.kind === 'sealed') {
      endIfBegun(store, found, geometry, new HolePuncher(store, geometry, onWarning));
      return { dropped: undefined };
    }
    const stored = storedIds(store);
    const { state } = found;
    const dropped = missing(state, found.dropped);
    if (dropped === undefined) return { dropped };
    for (const inode of state.tree.inodes()) if (inode.type === 'file') inode.lost = false;
    withRoom(store, geometry, state.objects, onWarning, () => {
      finishReplayed(store, header, geometry, state.objects);
      const snapshot = new Snapshot(state, new FileChunks(geometry, state.objects));
      JournalWriter.draft(store, header, imageKey, snapshot.entries())().close();
    });
    const live = state.objects.objects.filter((object) => object.live > 0);
    removeUnnamed(store, stored, live, geometry, onWarning);
    store.syncNames();
    return { dropped };
  });
}

/** Does the rest of a seal that was interrupted after its manifest was in place (W19). */
function endIfBegun(
  store: WritableStore,
  found: FoundImage & { kind: 'sealed' },
  geometry: Geometry,
  puncher: HolePuncher,
): void {
  if (found.hasStaleJournal) endSealing(store, found.manifest, storedIds(store), geometry, puncher);
}

function withImage<T>(
  store: WritableStore,
  header: Header,
  imageKey: Secret,
  geometry: Geometry,
  onWarning: WarningListener,
  work: (found: FoundImage) => T,
): T {
  authenticateHeader(store, header, imageKey);
  const lock = lockImage(store, onWarning);
  try {
    return work(findImage(store, header, imageKey, geometry));
  } finally {
    lock.release();
  }
}
