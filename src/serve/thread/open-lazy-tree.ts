import type { Counters } from '../../base/counters.ts';
import { CkptfsError } from '../../base/errors.ts';
import type { Region } from '../../base/linux/native.ts';
import type { Secret } from '../../crypto/secret.ts';
import type { FileInode } from '../../format/manifest.ts';
import type { FaultListener } from '../../fs/store-faults.ts';
import type { ImageSource, SourceReader } from '../../image/read/image-source.ts';
import { LazyStore } from '../../remote/lazy/lazy-store.ts';
import type { StorePlace } from '../../stores/store.ts';
import { type OpenTree, storedTree, type TreeOptions } from './open-tree.ts';

/** Opens an image in a remote store to be read. @throws as `LazyStore`, readHeader and openImage do */
export function openLazyTree(
  place: StorePlace,
  imageKey: Secret,
  options: TreeOptions,
  counters: Counters,
  onFault: FaultListener,
): OpenTree {
  const { lazy, isLocked = () => false } = options;
  if (lazy === undefined || typeof place === 'string')
    throw new CkptfsError('internal', 'nothing is held open of an image in a remote store');
  const store = new LazyStore({ ...lazy, image: place }, isLocked);
  const mended = (source: ImageSource): ImageSource => ({
    ...source,
    openReader: (...how) => new MendingReader(source.openReader(...how), store),
  });
  return storedTree(store, imageKey, options, counters, onFault, mended);
}

/** Reads once more what is damaged, where that is the fault of the cache. */
class MendingReader implements SourceReader {
  readonly #reader: SourceReader;
  readonly #store: Pick<LazyStore, 'mend'>;

  constructor(reader: SourceReader, store: Pick<LazyStore, 'mend'>) {
    this.#reader = reader;
    this.#store = store;
  }

  read(file: FileInode, offset: number, length: number, out: Region, outOffset: number): number {
    try {
      return this.#reader.read(file, offset, length, out, outOffset);
    } catch (error) {
      if (!(error instanceof CkptfsError) || error.code !== 'damaged' || !this.#store.mend()) throw error;
      return this.#reader.read(file, offset, length, out, outOffset);
    }
  }

  close(): void {
    this.#reader.close();
  }
}
