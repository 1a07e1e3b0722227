import { CkptfsError } from '../../base/errors.ts';
import { lockForReading } from '../../image/read/image.ts';
import { openStore } from '../../stores/open-store.ts';
import type { Store, StoreLock, StorePlace } from '../../stores/store.ts';
import type { DaemonConfig } from '../handover/daemon-config.ts';

/**
 * Holds the directory of the image open from the daemon's start to its end. All threads of the daemon work in it, and
 * it tells the image's current path. For a read-only mount it also keeps writers out.
 */
export class HeldStore {
  readonly #store: Store;
  readonly #lock: StoreLock | undefined;

  private constructor(store: Store, lock: StoreLock | undefined) {
    this.#store = store;
    this.#lock = lock;
  }

  /**
   * Opens the directory that the command has checked.
   * @throws CkptfsError `wrong-image` when the path leads to another directory now, `locked`, and what readHeader
   *   throws
   */
  static open({
    location,
    image,
    write,
    criu,
  }: Pick<DaemonConfig, 'location' | 'image' | 'write' | 'criu'>): HeldStore {
    const store = openStore(location);
    try {
      const { device, inode } = store.identity();
      if (device !== image.device || inode !== image.inode) throw replaced(location);
      if (criu !== undefined) return new HeldStore(store, store.lockForReading());
      return new HeldStore(store, write ? undefined : lockForReading(store));
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

  /** Returns the bytes of the stored manifest; 0 if there is none. @throws CkptfsError `damaged`, `io` */
  manifestSize(): number {
    return this.#store.sizeOf('manifest') ?? 0;
  }

  close(): void {
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
