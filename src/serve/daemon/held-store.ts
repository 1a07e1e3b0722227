import { CkptfsError } from '../../base/errors.ts';
import { lockForReading } from '../../image/read/image.ts';
import { openStore } from '../../stores/open-store.ts';
import type { Store, StoreLock, StorePlace } from '../../stores/store.ts';
import type { DaemonConfig } from '../handover/daemon-config.ts';

/**
 * The directory of the image that a daemon serves, held open from its start to its end: all its threads work in it, and it
 * tells where the image is by now. Where nothing is written it also keeps writers out.
 */
export class HeldStore {
  readonly #store: Store;
  readonly #lock: StoreLock | undefined;

  private constructor(store: Store, lock: StoreLock | undefined) {
    this.#store = store;
    this.#lock = lock;
  }

  /**
   * Opens the directory that the command has looked at.
   * @throws CkptfsError `wrong-image` when another one has come in its place since, `locked`, and what readHeader throws
   */
  static open({ location, image, write }: Pick<DaemonConfig, 'location' | 'image' | 'write'>): HeldStore {
    const store = openStore(location);
    try {
      const { device, inode } = store.identity();
      if (device !== image.device || inode !== image.inode) throw replaced(location);
      return new HeldStore(store, write ? undefined : lockForReading(store));
    } catch (error) {
      store.close();
      throw error;
    }
  }

  /** The path of the image as it is now. */
  get location(): string {
    return this.#store.location;
  }

  /** For the threads of this process. */
  get place(): StorePlace {
    return this.#store.place;
  }

  /** Bytes of the stored manifest; 0 when there is none. @throws CkptfsError `damaged`, `io` */
  manifestSize(): number {
    return this.#store.sizeOf('manifest') ?? 0;
  }

  close(): void {
    this.#store.close();
    this.#lock?.release();
  }
}

function replaced(path: string): CkptfsError {
  return new CkptfsError('wrong-image', `${path} is not the directory that it was when it was looked at`, {
    path,
    data: { reason: 'replaced' },
  });
}
