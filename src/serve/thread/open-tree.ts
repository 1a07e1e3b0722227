import type { Counters } from '../../base/counters.ts';
import { CkptfsError } from '../../base/errors.ts';
import type { Secret } from '../../crypto/secret.ts';
import { ROOT_INODE } from '../../format/manifest.ts';
import type { AheadSource } from '../../fs/ahead/ring-reader.ts';
import type { PageFiles } from '../../fs/direct-opens.ts';
import { LockableReader } from '../../fs/lockable-reader.ts';
import { ReadOnlyTree } from '../../fs/read-only-tree.ts';
import type { FaultListener } from '../../fs/store-faults.ts';
import type { FileSystem } from '../../fuse/protocol/filesystem.ts';
import { type Image, openImage, readHeader } from '../../image/read/image.ts';
import type { ImageSource } from '../../image/read/image-source.ts';
import { sealedSource } from '../../image/read/sealed-source.ts';
import { ImageTree } from '../../image/read/tree.ts';
import type { LazyPlace } from '../../remote/lazy/lazy-store.ts';
import { openStore } from '../../stores/open-store.ts';
import type { Store, StorePlace } from '../../stores/store.ts';
import type { KnownImage, OpenedImage } from './thread-messages.ts';

/** An image that one thread serves. */
export interface OpenTree {
  readonly tree: FileSystem;
  /** The tree as one whose files are read ahead; undefined where none are. */
  readonly aheadSource: AheadSource | undefined;
  readonly image: OpenedImage;
  /** Seals a writable image, once nothing is served any more. @throws the reason why it is not sealed */
  readonly seal: (() => void) | undefined;
  /** Wipes keys, caches and buffers. Contents can be read again when the mount is not locked. */
  readonly wipe?: () => void;
  /** Wipes cache and object keys. Does not wipe the image key. */
  close(): void;
}

/** How an image is opened to be served. */
export interface TreeOptions {
  /** In bytes. */
  readonly cacheSize: number;
  readonly pageFiles?: PageFiles | undefined;
  /** Permission bits that the root directory gets instead of its own. */
  readonly rootMode?: number | undefined;
  /** What another thread has opened. Of an image of ours, the manifest that has to be there, see {@link openImage}. */
  readonly known?: KnownImage | undefined;
  /** Whether the image key is wiped. */
  readonly isLocked?: () => boolean;
  /** What this thread reads an image in a remote store by; undefined for another one. */
  readonly lazy?: Omit<LazyPlace, 'image'> | undefined;
}

/** Opens what one thread serves. @param key of the image */
export type OpenServed = (
  place: StorePlace,
  key: Secret,
  options: TreeOptions,
  counters: Counters,
  onFault: FaultListener,
) => OpenTree;

/** Opens a sealed image to be read. @throws as readHeader and openImage do */
export function openTree(
  place: StorePlace,
  imageKey: Secret,
  options: TreeOptions,
  counters: Counters,
  onFault: FaultListener,
): OpenTree {
  return storedTree(openStore(place), imageKey, options, counters, onFault);
}

/**
 * Like {@link openTree}, of a store that is open.
 * @param through makes another source of that of the image
 */
export function storedTree(
  store: Store,
  imageKey: Secret,
  options: TreeOptions,
  counters: Counters,
  onFault: FaultListener,
  through: (source: ImageSource) => ImageSource = (source) => source,
): OpenTree {
  const image = opened(store, imageKey, options.known?.manifestDigest);
  const { manifestDigest } = image;
  const known = { manifestDigest };
  return servedTree(through(sealedSource(image)), { ...options, known }, counters, onFault, () => store.close());
}

/**
 * Serves a source that is open.
 * @param options `known` is what other threads are to know of it
 * @param onClose is called when the tree is closed
 */
export function servedTree(
  source: ImageSource,
  { cacheSize, pageFiles, rootMode, known, isLocked = () => false, lazy }: TreeOptions,
  counters: Counters,
  onFault: FaultListener,
  onClose: () => void,
): OpenTree {
  const manifest = withRootMode(source.manifest, rootMode);
  const reader = new LockableReader(() => source.openReader(cacheSize, counters), isLocked);
  const root = manifest.inodes[ROOT_INODE - 1];
  if (root === undefined) throw new CkptfsError('internal', 'an image without a root directory');
  const { mode, uid, gid, atime, mtime } = root;
  const tree = new ReadOnlyTree({ manifest }, new ImageTree(manifest), reader, onFault, pageFiles, lazy !== undefined);
  return {
    tree,
    aheadSource: tree.opensDirect === undefined ? undefined : tree,
    image: {
      imageId: source.imageId,
      root: { mode, uid, gid, atime, mtime },
      manifestDigest: undefined,
      ...known,
      inodes: manifest.inodes.length,
    },
    seal: undefined,
    wipe: () => reader.wipe(),
    close: () => {
      reader.wipe();
      onClose();
    },
  };
}

function opened(store: Store, imageKey: Secret, manifestDigest: Uint8Array | undefined): Image {
  try {
    return openImage(store, readHeader(store), imageKey, manifestDigest);
  } catch (error) {
    store.close();
    throw error;
  }
}

function withRootMode(manifest: ImageSource['manifest'], mode: number | undefined): ImageSource['manifest'] {
  const [root, ...others] = manifest.inodes;
  if (mode === undefined || root === undefined) return manifest;
  return { ...manifest, inodes: [{ ...root, mode }, ...others] };
}
