import type { Counters } from '../../base/counters.ts';
import type { Effort } from '../../compression/chunk-compressor.ts';
import type { WritableStore, WriterLock } from '../../stores/writable-store.ts';
import type { ImageContext } from '../objects/image-context.ts';
import { ImageReader } from '../read/image-reader.ts';
import { Committer, type CommitterLimits, DEFAULT_LIMITS } from './commit/committer.ts';
import { SpaceReserve } from './commit/space-reserve.ts';
import { ChunkPool } from './content/chunk-pool.ts';
import { ContentReader } from './content/content-reader.ts';
import { ContentWriter } from './content/content-writer.ts';
import { DirtyChunks } from './content/dirty-chunks.ts';
import { RefusedContents } from './content/refused-contents.ts';
import { UnstoredContents } from './content/unstored-contents.ts';
import { FileChunks } from './model/file-chunks.ts';
import type { LiveState } from './model/live-tree.ts';
import { PendingContents } from './model/pending-contents.ts';
import type { HolePuncher, WarningListener } from './objects/hole-puncher.ts';
import { ObjectAppender } from './objects/object-appender.ts';
import { WritableImage } from './writable-image.ts';

const DEFAULT_WRITE_CACHE_BYTES = 16 << 20;
const DEFAULT_POOL_SIZE = 4 << 20;

export interface WritableOptions {
  /** Bytes of verified chunks kept in memory at most. */
  readonly cacheSize?: number;
  /** Bytes of plaintext of dirty chunks kept at most. They are locked in memory if the system allows it. */
  readonly poolSize?: number;
  readonly onWarning?: WarningListener;
  /** How hard it is tried to compress, where the image is compressed. */
  readonly effort?: Effort | undefined;
  /** Returns milliseconds since 1970; the system's clock by default. */
  readonly clock?: () => number;
  readonly limits?: CommitterLimits;
  /** Counts what is read. */
  readonly counters?: Counters;
}

/** What an image holds until it is closed. */
interface Resources {
  readonly puncher: HolePuncher;
  readonly lock: WriterLock;
}

/**
 * Puts a writable image together, and begins its journal.
 * @throws CkptfsError `io`, `unsupported-source`: nothing is held then but the resources
 */
export function assembleImage(
  image: ImageContext<WritableStore>,
  state: LiveState,
  { puncher, lock }: Resources,
  options: WritableOptions,
): WritableImage {
  const { poolSize = DEFAULT_POOL_SIZE, onWarning = ignore, clock = Date.now, limits = DEFAULT_LIMITS } = options;
  const pool = new ChunkPool(poolSize, image.geometry.chunkSize);
  try {
    if (!pool.locked) onWarning('plaintext may be swapped out: the limit of locked memory (ulimit -l) is too low');
    const contents = contentsOf(image, state, pool, options);
    const space = new SpaceReserve(image.store, () => contents.dirty.bytes);
    const shortage = space.shortage();
    if (shortage !== undefined) onWarning(shortage);
    const committer = new Committer({ ...contents, image, state, puncher, space, onWarning, limits });
    const writer = new ContentWriter({ ...contents, geometry: image.geometry, pool: pool.region });
    const close = (): void => {
      // Keys and plaintext first: closing files can fail.
      pool.close();
      contents.reader.close();
      try {
        committer.close();
      } finally {
        lock.release();
      }
    };
    const unstored = new UnstoredContents(state.tree, contents);
    const { header } = image;
    return new WritableImage({
      header,
      tree: state.tree,
      reader: contents.reader,
      writer,
      committer,
      unstored,
      clock,
      close,
    });
  } catch (error) {
    pool.close();
    throw error;
  }
}

/** The parts that the committer and the writer of contents share. */
interface Contents {
  readonly chunks: FileChunks;
  readonly pending: PendingContents;
  readonly refused: RefusedContents;
  readonly reader: ContentReader;
  readonly appender: ObjectAppender;
  readonly dirty: DirtyChunks;
}

function contentsOf(
  image: ImageContext<WritableStore>,
  { objects }: LiveState,
  pool: ChunkPool,
  { cacheSize = DEFAULT_WRITE_CACHE_BYTES, counters, effort }: WritableOptions,
): Contents {
  const { geometry } = image;
  const chunks = new FileChunks(geometry, objects);
  const pending = new PendingContents(geometry);
  const refused = new RefusedContents(pending);
  const stored = new ImageReader({ ...image, manifest: objects }, cacheSize, counters);
  const reader = new ContentReader(geometry, stored, pool.region);
  const appender = new ObjectAppender(image, objects, effort);
  const dirty = new DirtyChunks({ pool, geometry, chunks, reader, appender, pending, refused });
  return { chunks, pending, refused, reader, appender, dirty };
}

function ignore(): void {}
