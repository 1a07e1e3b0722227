import { CkptfsError } from '../../base/errors.ts';
import { lockForReading } from '../../image/read/image.ts';
import { openStore } from '../../stores/open-store.ts';
import type { Store, StoreLock, StorePlace } from '../../stores/store.ts';
import { type DaemonConfig, nameOf, placeOf } from '../handover/daemon-config.ts';
import { HeldRemote } from './held-remote.ts';

/**
 * Holds the directory of the image open from the daemon's start to its end. All threads of the daemon work in it, and
 * it tells the image's current path. For a read-only mount it also keeps writers out.
 */
export class HeldStore {
  /** What an image in a remote store is read by; undefined for another one. */
  readonly remote: HeldRemote | undefined;
  readonly #store: Store;
  readonly #lock: StoreLock | undefined;

  private constructor(store: Store, lock: StoreLock | undefined, remote?: HeldRemote) {
    this.#store = store;
    this.#lock = lock;
    this.remote = remote;
  }

  /**
   * Opens the directory that the command has checked.
   * @throws CkptfsError `wrong-image` when the path leads to another directory now, `locked`, and what readHeader
   *   throws
   */
  static open(
    config: Pick<DaemonConfig, 'location' | 'image' | 'write' | 'criu' | 'remote'> & { readonly workers?: number },
  ): HeldStore {
    const { image, write, criu, remote, workers = 1 } = config;
    const store = openStore(placeOf(config));
    try {
      const { device, inode } = store.identity();
      if (device !== image.device || inode !== image.inode) throw replaced(nameOf(config));
      if (criu !== undefined) return new HeldStore(store, store.lockForReading());
      const lock = write ? undefined : lockForReading(store);
      return new HeldStore(store, lock, remote && HeldRemote.open(remote, config.location, workers));
    } catch (error) {
      store.close();
      throw error;
    }
  }

  /** The current path of the image. */
  get location(): string {
    return this.#store.location;
  }

  /** What a thread of this process opens the store by. */
  get place(): StorePlace {
    return this.#store.place;
  }

  /**
   * Returns the bytes of what each thread has as objects: the stored manifest, if there is one, and the index.
   * @throws CkptfsError `damaged`, `io`
   */
  metadataSize(): number {
    return (this.#store.sizeOf('manifest') ?? 0) + (this.remote?.indexSize ?? 0);
  }

  close(): void {
    this.remote?.close();
    this.#store.close();
    this.#lock?.release();
  }
}

function replaced(path: string): CkptfsError {
  return new CkptfsError('wrong-image', `${path} is no longer the directory that was checked`, {
    path,
    data: { reason: 'replaced' },
  });
}
