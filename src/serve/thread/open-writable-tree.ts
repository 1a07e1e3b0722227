import type { Counters } from '../../base/counters.ts';
import { CkptfsError } from '../../base/errors.ts';
import type { Secret } from '../../crypto/secret.ts';
import { ROOT_INODE } from '../../format/manifest.ts';
import { DeferredWrites } from '../../fs/deferred-writes.ts';
import { WritableTree } from '../../fs/writable-tree.ts';
import { readAnyHeader } from '../../image/read/image.ts';
import { openWritable } from '../../image/writable/open-writable.ts';
import type { WritableImage } from '../../image/writable/writable-image.ts';
import { openWritableStore } from '../../stores/open-store.ts';
import type { StorePlace } from '../../stores/store.ts';
import type { WritableStore } from '../../stores/writable-store.ts';
import type { OpenTree, TreeOptions } from './open-tree.ts';
import type { LogLevel } from './thread-messages.ts';

/**
 * Opens an image to be written. It is unsealed from then on, until it is sealed.
 * @throws as readAnyHeader and openWritable do
 */
export function openWritableTree(
  place: StorePlace,
  imageKey: Secret,
  { cacheSize, pageFiles, rootMode }: TreeOptions,
  counters: Counters,
  log: (level: LogLevel, text: string) => void,
): OpenTree {
  const store = openWritableStore(place);
  try {
    const header = readAnyHeader(store);
    const onWarning = (text: string): void => log('warning', text);
    const image = openWritable(store, header, imageKey, { cacheSize, counters, onWarning });
    const tree = new WritableTree(image, (line) => log('error', line), pageFiles);
    return treeOf(store, image, tree, header.imageId, rootMode);
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
  imageId: Buffer,
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
  return {
    tree,
    aheadSource: undefined,
    image: {
      imageId: imageId.toString('hex'),
      root: { mode, uid, gid, atime, mtime },
      manifestDigest: undefined,
      inodes: 0,
    },
    seal: () => {
      try {
        tree.finish();
        image.seal();
      } catch (cause) {
        throw notSealed(store.location, cause);
      }
    },
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
