import { hostname } from 'node:os';
import { isFailure } from '../../base/assert.ts';
import type { Counters } from '../../base/counters.ts';
import { CkptfsError } from '../../base/errors.ts';
import type { Secret } from '../../crypto/secret.ts';
import { Geometry } from '../../format/geometry.ts';
import type { Header } from '../../format/header.ts';
import type { WritableStore, WriterLock } from '../../stores/writable-store.ts';
import { authenticateHeader } from '../read/image.ts';
import { ImageReader } from '../read/image-reader.ts';
import { Committer, type CommitterLimits, defaultLimits } from './commit/committer.ts';
import { endSealing } from './commit/seal-state.ts';
import { SpaceReserve } from './commit/space-reserve.ts';
import { ChunkPool } from './content/chunk-pool.ts';
import { ContentReader } from './content/content-reader.ts';
import { ContentWriter } from './content/content-writer.ts';
import { DirtyChunks } from './content/dirty-chunks.ts';
import { RefusedContents } from './content/refused-contents.ts';
import { UnstoredContents } from './content/unstored-contents.ts';
import { FileChunks } from './model/file-chunks.ts';
import { countUnended, describeLost } from './model/left-files.ts';
import type { LiveState } from './model/live-tree.ts';
import { PendingContents } from './model/pending-contents.ts';
import { HolePuncher, type WarningListener } from './objects/hole-puncher.ts';
import { ObjectAppender } from './objects/object-appender.ts';
import { removeUnnamed } from './objects/unnamed-objects.ts';
import { finishReplayed, withRoom } from './recovery/finish-replayed.ts';
import { findImage, stateOf } from './recovery/load-state.ts';
import { WritableImage } from './writable-image.ts';

const DEFAULT_CACHE_SIZE = 16 << 20;
const DEFAULT_POOL_SIZE = 4 << 20;

export interface WritableOptions {
  /** Bytes of verified chunks kept in memory at most. */
  readonly cacheSize?: number;
  /** Bytes of plaintext of dirty chunks kept at most. They are locked in memory if the system allows it. */
  readonly poolSize?: number;
  readonly onWarning?: WarningListener;
  /** Returns milliseconds since 1970; the system's clock by default. */
  readonly clock?: () => number;
  readonly limits?: CommitterLimits;
  /** Counts what is read. */
  readonly counters?: Counters;
}

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
  authenticateHeader(store, header, imageKey);
  const geometry = new Geometry(header.chunkSize);
  const puncher = new HolePuncher(store, geometry, options.onWarning ?? ignore);
  const lock = lockImage(store, options.onWarning ?? ignore);
  try {
    const found = findImage(store, header, imageKey, geometry);
    if (found.kind === 'sealed') {
      const { manifest, hasStaleJournal } = found;
      if (hasStaleJournal) endSealing(store, manifest, storedIds(store), geometry, puncher);
      return assemble(store, header, imageKey, geometry, stateOf(manifest, geometry), puncher, lock, options);
    }
    const { state, dropped } = found;
    refuseDropping(store, missing(state, dropped));
    const onWarning = options.onWarning ?? ignore;
    const unended = countUnended(state.tree);
    if (unended !== undefined) onWarning(unended);
    for (const inode of state.tree.inodes()) if (inode.type === 'file') inode.open = false;
    const stored = storedIds(store);
    const image = withRoom(store, geometry, state.objects, onWarning, () => {
      finishReplayed(store, header, geometry, state.objects);
      return assemble(store, header, imageKey, geometry, state, puncher, lock, options);
    });
    const live = state.objects.objects.filter((object) => object.live > 0);
    try {
      removeUnnamed(store, stored, live, geometry, onWarning, (id) => puncher.remove(id));
    } catch (error) {
      // They only take space, and the next writer looks for them again.
      if (!isFailure(error)) throw error;
      onWarning(`objects that do not belong to the image were not removed: ${error.message}`);
    }
    return image;
  } catch (error) {
    lock.release();
    throw error;
  }
}

/**
 * Takes the lock of the writer (W21), and warns of readers that it cannot keep out.
 * @throws CkptfsError `locked`, `damaged`, `io`
 */
export function lockImage(store: WritableStore, onWarning: WarningListener): WriterLock {
  const lock = store.lock(`${hostname()} ${process.pid}`);
  if (lock.unseenReaders !== undefined) onWarning(`${store.location}: ${lock.unseenReaders}`);
  return lock;
}

/** Returns the ids of all objects in a store. @throws CkptfsError `io` */
export function storedIds(store: WritableStore): string[] {
  return store.list().objects.map(({ id }) => id);
}

/** Says what is lost of an image that was left unsealed; undefined when nothing that was committed is. */
export function missing({ tree }: LiveState, dropped: string | undefined): string | undefined {
  const all = [dropped, describeLost(tree)].filter((text) => text !== undefined);
  return all.length === 0 ? undefined : all.join('; and ');
}

/** Refuses to go on where something would be lost. @throws CkptfsError `unsealed` */
export function refuseDropping({ location }: WritableStore, dropped: string | undefined): void {
  if (dropped === undefined) return;
  throw new CkptfsError('unsealed', `${location} was not closed, and this would be lost: ${dropped}`, {
    path: location,
    data: { reason: 'losses' },
  });
}

function assemble(
  store: WritableStore,
  header: Header,
  imageKey: Secret,
  geometry: Geometry,
  state: LiveState,
  puncher: HolePuncher,
  lock: WriterLock,
  options: WritableOptions,
): WritableImage {
  const {
    cacheSize = DEFAULT_CACHE_SIZE,
    poolSize = DEFAULT_POOL_SIZE,
    onWarning = ignore,
    clock = Date.now,
    limits = defaultLimits,
  } = options;
  const source = { store, header, imageKey, manifest: state.objects };
  const chunks = new FileChunks(geometry, state.objects);
  const pending = new PendingContents();
  const pool = new ChunkPool(poolSize, geometry.chunkSize);
  if (!pool.locked) onWarning('plaintext may be swapped out: the limit of locked memory (ulimit -l) is too low');
  const reader = new ContentReader(geometry, new ImageReader(source, cacheSize, options.counters), pool.region);
  const appender = new ObjectAppender(store, header, imageKey, geometry, state.objects);
  const refused = new RefusedContents(pending);
  const dirty = new DirtyChunks(pool, geometry, chunks, reader, appender, pending, refused);
  const space = new SpaceReserve(store, () => dirty.bytes);
  const shortage = withPool(pool, () => space.shortage());
  if (shortage !== undefined) onWarning(shortage);
  const parts = {
    store,
    header,
    imageKey,
    geometry,
    state,
    chunks,
    pending,
    dirty,
    refused,
    appender,
    puncher,
    space,
    onWarning,
    limits,
  };
  const committer = withPool(pool, () => new Committer(parts));
  const writer = new ContentWriter({ geometry, chunks, dirty, appender, pending, refused, pool: pool.region });
  const close = (): void => {
    committer.close();
    reader.close();
    pool.close();
    lock.release();
  };
  const { tree } = state;
  const unstored = new UnstoredContents(tree, pending, dirty, refused);
  return new WritableImage({ header, tree, reader, writer, committer, unstored, clock, close });
}

/** Gives the pool back if `action` fails. */
function withPool<T>(pool: ChunkPool, action: () => T): T {
  try {
    return action();
  } catch (error) {
    pool.close();
    throw error;
  }
}

function ignore(): void {}
