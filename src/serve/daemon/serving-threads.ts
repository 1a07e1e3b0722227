import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { Counters, counterNames } from '../../base/counters.ts';
import { Deadline } from '../../base/deadline.ts';
import { CkptfsError, fromPlainError } from '../../base/errors.ts';
import { hasFailed } from '../../base/linux/waiting.ts';
import { type ProgramName, programUrl } from '../../base/program-url.ts';
import { type Settleable, settleable } from '../../base/settleable.ts';
import { RingKeeper } from '../../fs/ahead/ring-keeper.ts';
import { Counter } from '../../fuse/protocol/counters.ts';
import type { CounterSums } from '../control/control-messages.ts';
import type { ServingTransport } from '../handover/daemon-config.ts';
import { KeyLock, ThreadWipe } from '../thread/key-lock.ts';
import {
  type CommonSetup,
  type LogLine,
  type OpenedImage,
  type ThreadMemory,
  type ThreadMessage,
  type ThreadOrder,
  type ThreadSetup,
  threadMemory,
} from '../thread/thread-messages.ts';
import { WaitingLines } from '../thread/waiting-lines.ts';
import type { Log } from './log.ts';
import { SealWatch } from './seal-watch.ts';

/** Mebibytes of heap besides what grows with the manifest. A writer has room for the inodes of a million new files. */
const READING_HEAP = 24;
const WRITING_HEAP = 768;
const INIT_TIMEOUT_MILLISECONDS = 30_000;
/** How often a thread is woken that has not noticed that the mount is locked. */
const WAKE_MILLISECONDS = 2;
/** How often it is looked whether a mount is gone whose threads may all wait, and how long they are woken then. */
const LOOK_MILLISECONDS = 500;
const WAKING_MILLISECONDS = 5000;

/** What the threads of a mount need to know of the image before it is opened. */
export interface ServedImage {
  /** Bytes of the stored manifest. */
  readonly manifestSize: number;
  /** Returns its current path. */
  readonly location: () => string;
}

/** The threads that serve one mount. */
export interface ThreadsOfMount {
  /** See {@link ServedMount.stopped}. */
  readonly stopped: Promise<void>;
  /** Settles once all threads have wiped what they had. The value is the reason why a writable image is not sealed. */
  readonly ended: Promise<CkptfsError | undefined>;
  /** See {@link ServedMount.isSealing}. */
  readonly isSealing: boolean;
  /** The number of threads that serve, or will once they have opened the image. */
  readonly count: number;
  /** Opens the image, before anything is mounted. @throws as openImage does */
  open(): Promise<OpenedImage>;
  /** Serves the open /dev/fuse. */
  serve(fd: number, image: OpenedImage): void;
  /**
   * Waits until the kernel's first request succeeded. A process that touches the mount before its answer has to wait.
   * @returns what serves the mount
   * @throws CkptfsError `missing-feature` when the kernel is too old, or has no io_uring where that is required;
   *   `mount-failed`
   */
  initialized(): Promise<ServingTransport>;
  /**
   * Locks the mount, and lets all threads wipe keys, caches and plaintext. The image key is not wiped. Only for a mount
   * that is only read, and not served over io_uring.
   * @throws CkptfsError `no-answer` when not all have done so until the deadline
   */
  lock(deadline: Deadline): Promise<void>;
  /** Lets all threads end that were not told to serve. */
  end(): void;
  /** Returns the sums over all threads since the mount was made. */
  counters(): CounterSums;
}

/** The serving threads of one mount. */
export class ServingThreads implements ThreadsOfMount {
  readonly stopped: Promise<void>;
  readonly ended: Promise<CkptfsError | undefined>;
  readonly #threads: readonly Worker[];
  readonly #opened = settleable<OpenedImage>();
  readonly #initialized = settleable<ServingTransport>();
  readonly #broken = settleable<void>();
  readonly memory: readonly ThreadMemory[];
  readonly #ring: RingKeeper | undefined;
  readonly #log: Log;
  readonly #isToSeal: boolean;
  readonly #seal: SealWatch;
  readonly #requiresRings: boolean;
  /** Whether threads wait for blocks that are fetched. */
  readonly #fetches: boolean;
  readonly #keyLock: KeyLock;
  /** By thread: settles when it has opened the image, or ended. */
  readonly #begun: readonly Settleable<void>[];
  /** Threads that have ended. */
  readonly #over = new Set<number>();
  #failed = 0;

  /** @throws CkptfsError `io` when the system has no thread for it */
  constructor(size: number, setup: CommonSetup, { manifestSize, location }: ServedImage, log: Log) {
    this.#log = log;
    this.#requiresRings = setup.rings?.isRequired ?? false;
    this.#fetches = setup.remote !== undefined;
    this.#isToSeal = setup.write && setup.ephemeral === undefined;
    this.#seal = new SealWatch(location);
    const token = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
    this.#keyLock = new KeyLock(setup.keyLock);
    this.#begun = Array.from({ length: size }, () => settleable<void>());
    this.#ring = setup.ahead && new RingKeeper(setup.ahead);
    this.memory = Array.from({ length: size }, () => threadMemory(token));
    const heap = heapLimit(manifestSize, setup.write);
    this.#threads = startThreads(
      this.memory.map((memory, number) => ({ ...setup, memory, number })),
      heap,
    );
    // A thread that fails before anything waits for it shows in `ended`.
    for (const { promise } of [this.#opened, this.#initialized]) promise.catch(() => undefined);
    const ends = this.#threads.map((thread, index) => this.#follow(thread, index));
    // No other thread answers what waits in the queues of a broken one, for ever: only the end of the daemon does.
    this.ended = Promise.race([Promise.all(ends), this.#broken.promise]).then(() => {
      this.#ring?.end();
      return this.#seal.outcome();
    });
    this.stopped = Promise.race([this.#seal.begun, this.ended.then(() => undefined)]);
  }

  /**
   * Lets one thread open the image. The others wait until they serve, so that an image that is not authentic is read by
   * one alone.
   * @param known what the first thread has opened, if it has
   * @throws as openImage does
   */
  open(known?: OpenedImage): Promise<OpenedImage> {
    const passedOn = known && { manifestDigest: known.manifestDigest, shared: known.shared };
    this.#threads[0]?.postMessage({ kind: 'open', known: passedOn } satisfies ThreadOrder);
    return this.#opened.promise;
  }

  /** Lets all threads serve the open /dev/fuse; those that are still loading do so when they are ready. */
  serve(fd: number, { manifestDigest, shared }: OpenedImage): void {
    this.#order({ kind: 'serve', fd, known: { manifestDigest, shared } });
    if (this.#fetches) this.#watch(fd);
  }

  /** Lets threads wait for no block any more when the mount is gone: as long as all wait, none of them sees that. */
  #watch(fd: number): void {
    const timer = setInterval(() => {
      if (!hasFailed(fd)) return;
      clearInterval(timer);
      this.lock(Deadline.after(WAKING_MILLISECONDS)).catch(() => undefined);
    }, LOOK_MILLISECONDS).unref();
    void this.ended.then(() => clearInterval(timer));
  }

  end(): void {
    this.#order({ kind: 'end' });
  }

  initialized(): Promise<ServingTransport> {
    return untilInitialized(this.#initialized.promise, this.ended);
  }

  get isSealing(): boolean {
    return this.#seal.isSealing;
  }

  get count(): number {
    return this.#threads.length - this.#failed;
  }

  counters(): CounterSums {
    return counterSums(this.memory);
  }

  async lock(deadline: Deadline): Promise<void> {
    // A thread that opens the image later would find no key.
    if ((await deadline.wait(Promise.all(this.#begun.map(({ promise }) => promise)))) === undefined) throw notWiped();
    this.#keyLock.lock();
    const { generation } = this.#keyLock;
    const isLeft = (index: number): boolean =>
      !this.#over.has(index) && !new ThreadWipe(this.#wipeMemory(index)).hasWiped(generation);
    for (;;) {
      const left = [...this.memory.keys()].filter(isLeft);
      if (left.length === 0 && this.#ring?.empty() !== false) return;
      if (deadline.hasPassed) throw notWiped();
      // One that is not in a system call right now notices nothing, so it is woken again.
      for (const index of left) new ThreadWipe(this.#wipeMemory(index)).wake(generation);
      await sleep(WAKE_MILLISECONDS);
    }
  }

  #wipeMemory(index: number): SharedArrayBuffer {
    const memory = this.memory[index];
    if (memory === undefined) throw new CkptfsError('internal', `no thread ${index}`);
    return memory.wipe;
  }

  #order(order: ThreadOrder): void {
    for (const thread of this.#threads) thread.postMessage(order);
  }

  /** Settles when a thread has nothing left to do, or has failed. That thread is not waited for: see `exitNow`. */
  #follow(thread: Worker, index: number): Promise<void> {
    const memory = this.memory[index];
    const lines = memory && new WaitingLines(memory.lines);
    return new Promise((resolve) => {
      const end = (): void => {
        this.#over.add(index);
        this.#begun[index]?.resolve();
        this.#opened.reject(new CkptfsError('internal', 'a serving thread ended early'));
        resolve();
      };
      thread.on('message', (message: ThreadMessage) => {
        if (message.kind === 'log') this.#onLine(message, lines?.take() ?? 0);
        else this.#onMessage(message, end);
        if (message.kind === 'ready') this.#begun[index]?.resolve();
      });
      thread.once('exit', end);
      thread.on('error', (cause) => {
        this.#log.error(`a serving thread failed: ${cause}`);
        this.#opened.reject(new CkptfsError('internal', `a serving thread failed: ${cause}`, { cause }));
        end();
      });
    });
  }

  /** @param leftOut how many lines before this one were not sent, as too many waited */
  #onLine({ level, text }: LogLine, leftOut: number): void {
    if (leftOut > 0) this.#log.warning(`${leftOut} lines were left out: there were too many at once`);
    this.#log.write(level, text);
  }

  #onMessage(message: Exclude<ThreadMessage, LogLine>, end: () => void): void {
    switch (message.kind) {
      case 'ready':
        if (this.#isToSeal) this.#seal.onOpened();
        this.#opened.resolve(message.image);
        break;
      case 'failed':
        this.#onFailed(fromPlainError(message.error));
        break;
      case 'initialized':
        this.#initialized.resolve(message.overRing ? 'io-uring' : 'kernel');
        break;
      case 'no-rings':
        this.#onNoRings(message.why);
        break;
      case 'reads-ahead':
        this.#ring?.watch();
        break;
      case 'refused':
        this.#initialized.reject(
          new CkptfsError('missing-feature', message.text, { data: { feature: 'fuse-protocol' } }),
        );
        break;
      case 'broken':
        this.#broken.resolve();
        break;
      case 'ended':
        end();
        break;
      default:
        this.#seal.onMessage(message);
    }
  }

  #onNoRings(why: string): void {
    this.#log.warning(`the mount is served through /dev/fuse, not over io_uring: ${why}`);
    if (!this.#requiresRings) return;
    this.#initialized.reject(
      new CkptfsError('missing-feature', `the mount cannot be served over io_uring: ${why}`, {
        data: { feature: 'io-uring' },
      }),
    );
  }

  #onFailed(error: CkptfsError): void {
    this.#failed++;
    this.#log.error(
      `a serving thread did not start (${this.count} of ${this.#threads.length} serve): ${error.message}`,
    );
    this.#opened.reject(error);
  }
}

function notWiped(): CkptfsError {
  return new CkptfsError('no-answer', 'not all serving threads have wiped their keys', {
    data: { reason: 'daemon-slow' },
  });
}

function programOf({ isCriu, remote }: ThreadSetup): ProgramName {
  if (isCriu) return 'criu-thread';
  return remote === undefined ? 'serving-thread' : 'lazy-thread';
}

/** Starts one thread for each setup, or none. @throws CkptfsError `io` */
function startThreads(setups: readonly ThreadSetup[], heap: number): Worker[] {
  const started: Worker[] = [];
  try {
    for (const setup of setups) {
      const thread = new Worker(programUrl(programOf(setup)), {
        workerData: setup,
        // Node tracks only descriptors that it opened itself, and warns when a thread closes others.
        trackUnmanagedFds: false,
        resourceLimits: { maxOldGenerationSizeMb: heap },
      });
      started.push(thread);
    }
    return started;
  } catch (cause) {
    for (const thread of started) {
      // What it says of its own end would otherwise end this thread as well.
      thread.on('error', () => undefined);
      thread.postMessage({ kind: 'end' } satisfies ThreadOrder);
    }
    throw new CkptfsError('io', `a serving thread cannot be started: ${(cause as Error).message}`, { cause });
  }
}

/** See {@link ThreadsOfMount.initialized}. @param ended settles when the mount is gone */
export async function untilInitialized<T>(initialized: Promise<T>, ended: Promise<unknown>): Promise<T> {
  const outcome = Promise.race([
    initialized.then((value) => ({ value })),
    ended.then(() => {
      throw new CkptfsError('mount-failed', 'the mount ended before it served');
    }),
  ]);
  const settled = await Deadline.after(INIT_TIMEOUT_MILLISECONDS).wait(outcome);
  if (settled !== undefined) return settled.value;
  throw new CkptfsError('mount-failed', 'the kernel does not speak to the mount');
}

export function counterSums(memory: readonly ThreadMemory[]): CounterSums {
  const sums = Object.fromEntries(counterNames.map((name) => [name, 0])) as Record<
    (typeof counterNames)[number],
    number
  >;
  for (const { image, connection } of memory) {
    const counters = new Counters(image);
    for (const name of counterNames) sums[name] += counters.get(name);
    const ofConnection = new Float64Array(connection);
    sums.requests += ofConnection[Counter.requests] ?? 0;
    sums.bytesServed += ofConnection[Counter.bytesRead] ?? 0;
  }
  return sums;
}

/**
 * Returns how many mebibytes of heap a thread may have. V8 collects garbage at half of it, and without a limit lets
 * hundreds of mebibytes gather: what caches drop is found by a full collection only. A manifest takes about 12 times
 * its size, so nothing comes near the limit itself.
 */
export function heapLimit(manifestSize: number, write: boolean): number {
  return (write ? WRITING_HEAP : READING_HEAP) + Math.ceil((32 * manifestSize) / 2 ** 20);
}
