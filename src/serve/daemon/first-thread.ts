import { Counters } from '../../base/counters.ts';
import { CkptfsError, toPlainError } from '../../base/errors.ts';
import { settleable } from '../../base/settleable.ts';
import { SERVED_BEFORE_THREADS } from '../../base/tuning.ts';
import { Secret } from '../../crypto/secret.ts';
import { Connection } from '../../fuse/device/connection.ts';
import { EventLoopServer } from '../../fuse/device/event-loop.ts';
import { Counter } from '../../fuse/protocol/counters.ts';
import { KeyLock } from '../thread/key-lock.ts';
import type { OpenServed, OpenTree } from '../thread/open-tree.ts';
import { ringReader } from '../thread/ring-of-thread.ts';
import { type CommonSetup, type OpenedImage, type ThreadMemory, threadMemory } from '../thread/thread-messages.ts';
import type { Log } from './log.ts';

/**
 * Serves a mount that is only read on the daemon's first thread, until other threads do: a thread takes as long to
 * start as a whole Node, and a mount from which little is read needs none.
 */
export class FirstThread {
  /** Settles when the kernel's first request succeeded. Rejects with CkptfsError `missing-feature`. */
  readonly initialized: Promise<void>;
  readonly memory: ThreadMemory;
  readonly #initialized = settleable<void>();
  readonly #opened: OpenTree;
  readonly #connection: Connection;
  #server: EventLoopServer | undefined;

  /** Opens the image. @throws what `openToRead` throws */
  constructor(setup: CommonSetup, openToRead: OpenServed, log: Log) {
    this.initialized = this.#initialized.promise;
    this.initialized.catch(() => undefined);
    this.memory = threadMemory(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
    const imageKey = Secret.fromShared(setup.imageKey);
    const counters = new Counters(this.memory.image);
    const lock = new KeyLock(setup.keyLock);
    const { manifestDigest } = setup;
    const known = manifestDigest && { manifestDigest };
    const { cacheSize, pageFiles, rootMode } = setup;
    const options = { cacheSize, pageFiles, rootMode, known, isLocked: () => lock.isLocked };
    this.#opened = openToRead(setup.store, imageKey, options, counters, (line) => log.error(line));
    this.#connection = new Connection(this.#opened.tree, {
      // It fills no blocks, but the threads that take over do so for files that were opened here.
      readAhead: ringReader(setup.ahead, this.#opened.aheadSource, this.memory, () => undefined),
      counters: new Float64Array(this.memory.connection),
      ...(setup.onlyUid === undefined ? {} : { onlyUid: setup.onlyUid }),
      onInit: () => this.#initialized.resolve(),
      onError: (error, operation, node) => {
        const { message, stack } = toPlainError(error);
        if (operation === 'INIT') this.#initialized.reject(refused(message));
        log.error(`${operation} of node ${node} failed: ${stack ?? message}`);
      },
    });
  }

  get image(): OpenedImage {
    return this.#opened.image;
  }

  /**
   * Serves the open /dev/fuse until the mount is gone, or until {@link stop}; cache and object keys are wiped then.
   * @param onBusy is called after requests, when as much was read that other threads are worth their start
   * @throws CkptfsError `internal` when the device fails in an unexpected way
   */
  async serve(fd: number, onBusy: () => void): Promise<void> {
    const counters = new Float64Array(this.memory.connection);
    this.#server = new EventLoopServer(fd, this.#connection);
    try {
      await this.#server.serve(() => {
        if ((counters[Counter.bytesRead] ?? 0) > SERVED_BEFORE_THREADS) onBusy();
      });
    } finally {
      this.close();
    }
  }

  /** Wipes keys, caches and buffers. The mount must be locked. */
  wipe(): void {
    this.#opened.wipe?.();
    this.#connection.wipe();
  }

  /** Lets {@link serve} end. */
  stop(): void {
    this.#server?.stop();
  }

  /** Must be called if it never served. */
  close(): void {
    this.#opened.close();
  }
}

function refused(message: string): CkptfsError {
  return new CkptfsError('missing-feature', message, { data: { feature: 'fuse-protocol' } });
}
