import { closeSync } from 'node:fs';
import { Deadline } from '../../base/deadline.ts';
import { CkptfsError } from '../../base/errors.ts';
import { duplicateFrom } from '../../base/linux/descriptors.ts';
import { wipe } from '../../base/wipe.ts';
import type { Secret } from '../../crypto/secret.ts';
import { dropCache } from '../../fuse/device/drop-cache.ts';
import { openImage, readHeader } from '../../image/read/image.ts';
import { openStore } from '../../stores/open-store.ts';
import type { StorePlace } from '../../stores/store.ts';
import { KeyLock } from '../thread/key-lock.ts';
import type { OpenedImage } from '../thread/thread-messages.ts';
import type { ThreadsOfMount } from './serving-threads.ts';

/** How long all threads together may take to wipe what they have, and the kernel to drop its pages. */
const LOCK_MILLISECONDS = 20_000;
const FIRST_FREE_DESCRIPTOR = 3;

/** What can be locked: a mount that is only read, and served through /dev/fuse by threads of ours. */
export interface LockableMount {
  readonly place: StorePlace;
  readonly threads: ThreadsOfMount;
  readonly image: OpenedImage;
  /** The open /dev/fuse. */
  readonly fd: number;
  readonly imageKey: Secret;
  /** The memory of the mount's {@link KeyLock}. */
  readonly keyLock: SharedArrayBuffer;
}

/** The image key of a mount, which can be wiped while the mount stays, and be given again. */
export class MountKeys {
  readonly #mount: LockableMount;
  readonly #lock: KeyLock;
  #isOver = false;
  /** What was asked for is done one after the other. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(mount: LockableMount) {
    this.#mount = mount;
    this.#lock = new KeyLock(mount.keyLock);
    void mount.threads.stopped.then(() => {
      this.#isOver = true;
    });
  }

  get isLocked(): boolean {
    return this.#lock.isLocked;
  }

  /**
   * Wipes the image key and, in all threads, derived keys, caches and plaintext; then lets the kernel drop its pages.
   * From then on every read of contents fails with EIO. May be called again, as long as it throws.
   * @throws CkptfsError `no-answer` when a thread or the kernel is not done in time: the key is wiped in any case
   */
  lock(): Promise<void> {
    return this.#inTurn(() => this.#wipeAll());
  }

  /**
   * Copies an image key, so that contents are read again. The caller wipes it.
   * @returns whether the mount was locked
   * @throws CkptfsError `wrong-image`, `damaged` when it is not the key of what is mounted; `io`
   */
  unlock(imageKey: Secret): Promise<boolean> {
    return this.#inTurn(async () => {
      this.#authenticate(imageKey);
      if (!this.isLocked) return false;
      this.#mount.imageKey.bytes.set(imageKey.bytes);
      this.#lock.unlock();
      return true;
    });
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work);
    this.#last = done.catch(() => undefined);
    return done;
  }

  async #wipeAll(): Promise<void> {
    const { threads, imageKey } = this.#mount;
    const deadline = Deadline.after(LOCK_MILLISECONDS);
    try {
      await threads.lock(deadline);
    } finally {
      this.#lock.lock();
      if (!this.#isOver) wipe(imageKey.bytes);
    }
    if ((await deadline.wait(this.#dropPages())) === undefined) {
      throw new CkptfsError('no-answer', 'the keys are wiped, but the kernel has not dropped all pages in time', {
        data: { reason: 'daemon-slow' },
      });
    }
  }

  async #dropPages(): Promise<true> {
    if (this.#isOver) return true;
    const fd = duplicateFrom(this.#mount.fd, FIRST_FREE_DESCRIPTOR);
    try {
      for (let node = 1; node <= this.#mount.image.inodes; node++) {
        if (!(await dropCache(fd, node))) break;
      }
      return true;
    } finally {
      closeSync(fd);
    }
  }

  /** @throws CkptfsError `wrong-image`, `damaged` unless the key opens the very manifest that is mounted; `io` */
  #authenticate(imageKey: Secret): void {
    const { place, image } = this.#mount;
    const store = openStore(place);
    try {
      const header = readHeader(store);
      if (header.imageId.toString('hex') !== image.imageId) {
        throw new CkptfsError('wrong-image', 'another image is in the place of the one that is mounted', {
          data: { reason: 'replaced' },
        });
      }
      openImage(store, header, imageKey, image.manifestDigest);
    } finally {
      store.close();
    }
  }
}
