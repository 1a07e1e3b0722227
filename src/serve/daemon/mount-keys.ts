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
/** How much of it the threads may take, so that the pages are dropped even if one of them is stuck. */
const WIPE_MILLISECONDS = 15_000;
/** When what was not done in time is tried again, and for how long: an unlock waits for it. */
const RETRY_MILLISECONDS = 500;
const RETRY_WAIT_MILLISECONDS = 200;
/** More than one, so that a file whose page is being read does not keep the pages of all others. */
const DROPS_AT_ONCE = 2;
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
  #retry: NodeJS.Timeout | undefined;
  /** Undefined when no pages are being dropped. */
  #dropping: Promise<true> | undefined;
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
   * From then on every read of contents fails with EIO. May be called again.
   * @throws CkptfsError `no-answer` when a thread or the kernel is not done in time: the key is wiped in any case, and
   *   the rest is tried again until it is done
   */
  lock(): Promise<void> {
    return this.#inTurn(async () => {
      try {
        await this.#wipeAll(Deadline.after(LOCK_MILLISECONDS));
      } catch (error) {
        this.#tryAgain();
        throw error;
      }
    });
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

  async #wipeAll(deadline: Deadline): Promise<void> {
    const { threads, imageKey } = this.#mount;
    let failure: unknown;
    try {
      await threads.lock(deadline.orAfter(WIPE_MILLISECONDS));
    } catch (error) {
      failure = error;
    }
    this.#lock.lock();
    if (!this.#isOver) wipe(imageKey.bytes);
    if (!(await this.#dropAllPages(deadline))) failure ??= notDropped();
    if (failure !== undefined) throw failure;
  }

  /** Goes on, from time to time, with what {@link lock} has not finished, unless the mount is unlocked or gone. */
  #tryAgain(): void {
    clearTimeout(this.#retry);
    const finish = async (): Promise<void> => {
      if (!this.isLocked || this.#isOver) return;
      await this.#wipeAll(Deadline.after(RETRY_WAIT_MILLISECONDS)).catch(() => this.#tryAgain());
    };
    this.#retry = setTimeout(() => void this.#inTurn(finish), RETRY_MILLISECONDS).unref();
  }

  /** Returns whether the kernel has dropped, until the deadline, all pages that it has now. */
  async #dropAllPages(deadline: Deadline): Promise<boolean> {
    // What is under way may have passed pages that came later, and waits as long as a page is being read.
    if (this.#dropping !== undefined && !(await deadline.wait(this.#dropping))) return false;
    this.#dropping = this.#dropPages().finally(() => {
      this.#dropping = undefined;
    });
    return (await deadline.wait(this.#dropping)) === true;
  }

  async #dropPages(): Promise<true> {
    if (this.#isOver) return true;
    const fd = duplicateFrom(this.#mount.fd, FIRST_FREE_DESCRIPTOR);
    const nodes = Array.from({ length: this.#mount.image.inodes }, (_, index) => index + 1).values();
    const dropSome = async (): Promise<void> => {
      for (const node of nodes) {
        if (!(await dropCache(fd, node))) break;
      }
    };
    try {
      await Promise.all(Array.from({ length: DROPS_AT_ONCE }, dropSome));
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

function notDropped(): CkptfsError {
  return new CkptfsError('no-answer', 'the keys are wiped, but the kernel has not dropped all pages in time', {
    data: { reason: 'daemon-slow' },
  });
}
