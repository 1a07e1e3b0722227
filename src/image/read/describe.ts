import type { Header } from '../../format/header.ts';
import { FORMAT_VERSION } from '../../format/header.ts';
import { slotAlgorithm } from '../../format/slot.ts';
import type { Store } from '../../stores/store.ts';
import { dataBytes } from './extents.ts';
import type { Image } from './image.ts';

/** What an image shows without a key. Nothing of it is authenticated. */
export interface ImageOutside {
  readonly formatVersion: number;
  /** Whether it is sealed. If not, it is being written, or writing it was interrupted. */
  readonly sealed: boolean;
  readonly imageId: string;
  readonly cipher: string;
  /** Bytes. */
  readonly chunkSize: number;
  /** `alg` of each key slot. */
  readonly slots: readonly string[];
  readonly objects: number;
  /** Bytes of header, manifest and objects; holes of objects are not counted. */
  readonly storedBytes: number;
}

/** What an image shows with its key, in addition. */
export interface ImageInside {
  readonly epoch: number;
  readonly files: number;
  readonly directories: number;
  readonly symlinks: number;
  readonly fifos: number;
  readonly sockets: number;
  /** Sum of the files' sizes, bytes; a file with several names counts once. */
  readonly fileBytes: number;
  /** The bytes of `fileBytes` that are not in holes. */
  readonly dataBytes: number;
  /** `storedBytes` over `dataBytes`, less one; undefined when there is no data. */
  readonly overhead: number | undefined;
}

/** Describes an image without its key. @throws CkptfsError `io` */
export function describeOutside(store: Store, header: Header): ImageOutside {
  const { objects } = store.list();
  const named = (store.sizeOf('ckptfs.json') ?? 0) + (store.sizeOf('manifest') ?? 0);
  return {
    formatVersion: FORMAT_VERSION,
    sealed: !store.has('journal'),
    imageId: header.imageId.toString('hex'),
    cipher: header.cipher,
    chunkSize: header.chunkSize,
    slots: header.slots.map((slot) => slotAlgorithm(slot) ?? 'unknown'),
    objects: objects.length,
    storedBytes: objects.reduce((sum, { size }) => sum + size, named),
  };
}

/** Describes an image that was opened with its key. @throws CkptfsError `io` */
export function describeInside(image: Image): ImageInside {
  const counts = { file: 0, directory: 0, symlink: 0, fifo: 0, socket: 0 };
  let fileBytes = 0;
  let data = 0;
  for (const inode of image.manifest.inodes) {
    counts[inode.type]++;
    if (inode.type !== 'file') continue;
    fileBytes += inode.size;
    data += dataBytes(inode.extents);
  }
  const { storedBytes } = describeOutside(image.store, image.header);
  return {
    epoch: image.manifest.epoch,
    files: counts.file,
    directories: counts.directory,
    symlinks: counts.symlink,
    fifos: counts.fifo,
    sockets: counts.socket,
    fileBytes,
    dataBytes: data,
    overhead: data === 0 ? undefined : storedBytes / data - 1,
  };
}
