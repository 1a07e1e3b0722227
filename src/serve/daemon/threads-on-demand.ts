import type { Deadline } from '../../base/deadline.ts';
import { type CkptfsError, toPlainError } from '../../base/errors.ts';
import { settleable } from '../../base/settleable.ts';
import type { CounterSums } from '../control/control-messages.ts';
import type { ServingTransport } from '../handover/daemon-config.ts';
import { KeyLock } from '../thread/key-lock.ts';
import type { CommonSetup, OpenedImage } from '../thread/thread-messages.ts';
import { FirstThread } from './first-thread.ts';
import type { Log } from './log.ts';
import { openerOf } from './opener.ts';
import {
  counterSums,
  type ServedImage,
  ServingThreads,
  type ThreadsOfMount,
  untilInitialized,
} from './serving-threads.ts';

/**
 * The threads of a mount that is only read. The daemon's first thread answers until so much was read that the serving
 * threads are worth their start; they take over as soon as one of them has opened the image. The first thread goes on
 * where none of them can.
 */
export class ThreadsOnDemand implements ThreadsOfMount {
  readonly ended: Promise<CkptfsError | undefined>;
  readonly isSealing = false;
  readonly #size: number;
  readonly #setup: CommonSetup;
  readonly #served: ServedImage;
  readonly #log: Log;
  readonly #ended = settleable<undefined>();
  readonly #keyLock: KeyLock;
  #first: FirstThread | undefined;
  /** Settles when other threads have taken over, or cannot. */
  #takenOver: Promise<void> | undefined;
  #isServing = false;
  #started: ServingThreads | undefined;
  /** Whether no other thread takes over. */
  #firstStays = false;

  constructor(size: number, setup: CommonSetup, image: ServedImage, log: Log) {
    this.#size = size;
    this.#setup = setup;
    this.#served = image;
    this.#log = log;
    this.ended = this.#ended.promise;
    this.#keyLock = new KeyLock(setup.keyLock);
  }

  get stopped(): Promise<void> {
    return this.ended.then(() => undefined);
  }

  /** Opens the image on this thread. @throws as openImage does */
  async open(): Promise<OpenedImage> {
    this.#first = new FirstThread(this.#setup, await openerOf(this.#setup), this.#log);
    return this.#first.image;
  }

  serve(fd: number, image: OpenedImage): void {
    this.#isServing = true;
    void this.#serve(fd, image);
  }

  async initialized(): Promise<ServingTransport> {
    await untilInitialized(this.#first?.initialized ?? Promise.resolve(), this.ended);
    return 'kernel';
  }

  async lock(deadline: Deadline): Promise<void> {
    if (this.#takenOver === undefined) this.#keyLock.lock();
    else await deadline.wait(this.#takenOver);
    if (!this.#firstStays && this.#started !== undefined) return this.#started.lock(deadline);
    this.#keyLock.lock();
    this.#first?.wipe();
  }

  end(): void {
    if (this.#isServing) return;
    this.#first?.close();
    this.#ended.resolve(undefined);
  }

  get count(): number {
    return this.#firstStays ? 1 : (this.#started?.count ?? this.#size);
  }

  counters(): CounterSums {
    return counterSums([...(this.#first === undefined ? [] : [this.#first.memory]), ...(this.#started?.memory ?? [])]);
  }

  async #serve(fd: number, image: OpenedImage): Promise<void> {
    try {
      await this.#first?.serve(fd, () => {
        // While it is locked no thread could open the image.
        if (!this.#keyLock.isLocked) this.#takenOver ??= this.#startThreads(image);
      });
    } catch (error) {
      this.#log.error(toPlainError(error).message);
    }
    // They serve from here on; where the mount is gone they find that out at once.
    await this.#takenOver;
    this.#started?.serve(fd, image);
    await this.#started?.ended;
    this.#ended.resolve(undefined);
  }

  /** Starts the threads, and ends the service of the first one when another one can take it over. Never throws. */
  async #startThreads(image: OpenedImage): Promise<void> {
    try {
      this.#started = new ServingThreads(this.#size, this.#setup, this.#served, this.#log);
      await this.#started.open(image);
      this.#first?.stop();
    } catch (error) {
      this.#firstStays = true;
      this.#log.warning(`one thread alone serves the mount: ${toPlainError(error).message}`);
    }
  }
}
