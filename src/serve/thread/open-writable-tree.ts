import type { Counters } from '../../base/counters.ts';
import { CkptfsError } from '../../base/errors.ts';
import type { Secret } from '../../crypto/secret.ts';
import { ROOT_INODE } from '../../format/manifest.ts';
import { DeferredWrites } from '../../fs/deferred-writes.ts';
import { UnsyncedTree } from '../../fs/unsynced-tree.ts';
import { WritableTree } from '../../fs/writable-tree.ts';
import { readAnyHeader } from '../../image/read/image.ts';
import { type EphemeralImage, openEphemeral } from '../../image/writable/open-ephemeral.ts';
import { openWritable } from '../../image/writable/open-writable.ts';
import type { WritableImage } from '../../image/writable/writable-image.ts';
import { openEphemeralStore, openWritableStore } from '../../stores/open-store.ts';
import type { StorePlace } from '../../stores/store.ts';
import type { WritableStore } from '../../stores/writable-store.ts';
import type { OpenTree, TreeOptions } from './open-tree.ts';
import type { LogLevel } from './thread-messages.ts';

/** How an image is opened to be written. */
interface WritingOptions extends TreeOptions {
  /** Set for an image that is new, and gone with the mount. */
  readonly ephemeral?: EphemeralImage | undefined;
}

/**
 * Opens an image to be written. It is unsealed from then on, until it is sealed; one that is ephemeral never is.
 * @throws as readAnyHeader, openWritable and openEphemeral do
 */
export function openWritableTree(
  place: StorePlace,
  imageKey: Secret,
  { cacheSize, pageFiles, rootMode, ephemeral }: WritingOptions,
  counters: Counters,
  log: (level: LogLevel, text: string) => void,
): OpenTree {
  const store = ephemeral === undefined ? openWritableStore(place) : openEphemeralStore(place);
  try {
    const options = { cacheSize, counters, onWarning: (text: string): void => log('warning', text) };
    const image =
      ephemeral === undefined
        ? openWritable(store, readAnyHeader(store), imageKey, options)
        : openEphemeral(store, ephemeral, imageKey, options);
    const tree = new WritableTree(image, (line) => log('error', line), pageFiles);
    return treeOf(store, image, tree, ephemeral === undefined, rootMode);
  } catch (error) {
    store.close();
    throw error;
  }
}

/** Closes the image if it throws, which it does as `setMetadata` of the image does. */
function treeOf(
  store: WritableStore,
  image: WritableImage,
  writable: WritableTree,
  isKept: boolean,
  rootMode: number | undefined,
): OpenTree {
  if (rootMode !== undefined && image.inode(ROOT_INODE)?.mode !== rootMode) {
    try {
      image.setMetadata(ROOT_INODE, { mode: rootMode });
    } catch (error) {
      image.close();
      throw error;
    }
  }
  const root = image.inode(ROOT_INODE);
  if (root === undefined) throw new CkptfsError('internal', 'an image without a root directory');
  const { mode, uid, gid, atime, mtime } = root;
  const tree = new DeferredWrites(writable, image);
  const seal = (): void => {
    try {
      tree.finish();
      image.seal();
    } catch (cause) {
      throw notSealed(store.location, cause);
    }
  };
  return {
    tree: isKept ? tree : new UnsyncedTree(tree),
    aheadSource: undefined,
    image: {
      imageId: image.header.imageId.toString('hex'),
      root: { mode, uid, gid, atime, mtime },
      manifestDigest: undefined,
      inodes: 0,
    },
    seal: isKept ? seal : undefined,
    close: () => {
      tree.close();
      image.close();
      store.close();
    },
  };
}

function notSealed(location: string, cause: unknown): CkptfsError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  const error = cause instanceof CkptfsError ? cause : new CkptfsError('internal', reason, { cause });
  const lossy = error.aftermath?.lossy ?? false;
  return error.reworded(`${location} is left unsealed: ${reason}`, {
    path: location,
    aftermath: { state: 'unsealed', image: location, lossy },
  });
}
