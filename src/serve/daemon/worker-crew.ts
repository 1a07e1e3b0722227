import { Worker } from 'node:worker_threads';
import { Counters, counterNames } from '../../base/counters.ts';
import { CkptfsError, fromPlainError } from '../../base/errors.ts';
import { programUrl } from '../../base/program-url.ts';
import { Opcode } from '../../fuse/protocol/abi.ts';
import { Counter } from '../../fuse/protocol/counters.ts';
import type { CounterSums } from '../control/serving.ts';
import type { Log } from '../mounts/log.ts';
import {
  type OpenedImage,
  type WorkerMemory,
  type WorkerMessage,
  type WorkerOrder,
  type WorkerSetup,
  workerMemory,
} from '../worker/worker-messages.ts';
import { SealWatch } from './seal-watch.ts';

/** Mebibytes of JavaScript objects besides what grows with the manifest; who writes has room for the inodes of a million new files. */
const READING_HEAP = 24;
const WRITING_HEAP = 768;
const INIT_TIMEOUT_MILLISECONDS = 30_000;

/** What the threads of a mount need not know of the image. */
interface ServedImage {
  /** Bytes of the stored manifest. */
  readonly manifestSize: number;
  /** Its path as it is now. */
  readonly location: () => string;
}

/** The serving threads of one mount. */
export class WorkerCrew {
  /** See {@link Serving.stopped}. */
  readonly stopped: Promise<void>;
  /** Settles once all have wiped what they had; with the reason when an image that was written on is not sealed. */
  readonly ended: Promise<CkptfsError | undefined>;
  readonly size: number;
  readonly #workers: readonly Worker[];
  readonly #opened: Promise<OpenedImage>;
  readonly #memory: readonly WorkerMemory[];
  readonly #log: Log;
  readonly #write: boolean;
  readonly #seal: SealWatch;
  #refusal: string | undefined;
  #left: number;
  #failed = 0;

  constructor(size: number, setup: Omit<WorkerSetup, 'memory'>, { manifestSize, location }: ServedImage, log: Log) {
    this.size = size;
    this.#left = size;
    this.#log = log;
    this.#write = setup.write;
    this.#seal = new SealWatch(location);
    const turn = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
    this.#memory = Array.from({ length: size }, () => workerMemory(turn));
    this.#workers = this.#memory.map(
      (memory) =>
        new Worker(programUrl('serving-thread'), {
          workerData: { ...setup, memory } satisfies WorkerSetup,
          // Node knows only of those that it opened itself, and warns when it closes others.
          trackUnmanagedFds: false,
          resourceLimits: { maxOldGenerationSizeMb: heapLimit(manifestSize, setup.write) },
        }),
    );
    this.#opened = Promise.race(this.#workers.map((worker) => this.#hear(worker)));
    // Whoever opens is told; before that, a thread that fails shows in `ended`.
    this.#opened.catch(() => undefined);
    this.ended = Promise.all(this.#workers.map((worker) => this.#watch(worker))).then(() => this.#seal.outcome());
    this.stopped = Promise.race([this.#seal.begun, this.ended.then(() => undefined)]);
  }

  /**
   * Has one of them open the image; the others wait until they serve, so that what is not authentic is read by one alone.
   * @throws CkptfsError as openImage does
   */
  open(): Promise<OpenedImage> {
    this.#workers[0]?.postMessage({ kind: 'open' } satisfies WorkerOrder);
    return this.#opened;
  }

  /** Lets all serve the open /dev/fuse; those that are not ready yet, as soon as they are. */
  serve(fd: number): void {
    this.#order({ kind: 'serve', fd });
  }

  /** Lets all end that do not serve. */
  end(): void {
    this.#order({ kind: 'end' });
  }

  /**
   * Waits until the kernel's first request has been answered. Before that, whoever touches the mount waits.
   * @throws CkptfsError `missing-feature` when the kernel is too old, `mount-failed`
   */
  async initialized(): Promise<void> {
    const deadline = Date.now() + INIT_TIMEOUT_MILLISECONDS;
    let seen = false;
    while (!seen) {
      seen = this.#sum(Counter.opcodes + Opcode.FUSE_INIT) > 0;
      // Also after it was seen, so that a refusal, told at the same moment, has arrived.
      await new Promise((resolve) => setTimeout(resolve, 1));
      if (this.#refusal !== undefined)
        throw new CkptfsError('missing-feature', this.#refusal, { data: { feature: 'fuse-protocol' } });
      if (seen) return;
      if (this.#left === 0) throw new CkptfsError('mount-failed', 'the mount ended before it served');
      if (Date.now() > deadline) throw new CkptfsError('mount-failed', 'the kernel does not speak to the mount');
    }
  }

  /** See {@link Serving.isSealing}. */
  get isSealing(): boolean {
    return this.#seal.isUnderWay;
  }

  /** Threads that serve, or will once they have opened the image. */
  get serving(): number {
    return this.size - this.#failed;
  }

  counters(): CounterSums {
    const sums = Object.fromEntries(counterNames.map((name) => [name, 0])) as Record<
      (typeof counterNames)[number],
      number
    >;
    for (const { image } of this.#memory) {
      const counters = new Counters(image);
      for (const name of counterNames) sums[name] += counters.get(name);
    }
    sums.requests += this.#sum(Counter.requests);
    sums.bytesServed += this.#sum(Counter.bytesRead);
    return sums;
  }

  #order(order: WorkerOrder): void {
    for (const worker of this.#workers) worker.postMessage(order);
  }

  #hear(worker: Worker): Promise<OpenedImage> {
    return new Promise((resolve, reject) => {
      worker.on('error', (cause) => {
        this.#log.error(`a serving thread failed: ${cause}`);
        reject(new CkptfsError('internal', `a serving thread failed: ${cause}`, { cause }));
      });
      worker.once('exit', () => reject(new CkptfsError('internal', 'a serving thread ended early')));
      worker.on('message', (message: WorkerMessage) => {
        if (message.kind === 'ready') {
          if (this.#write) this.#seal.opened();
          resolve(message.image);
        } else if (message.kind === 'log') this.#log.write(message.level, message.text);
        else if (message.kind === 'refused') this.#refusal = message.text;
        else if (message.kind === 'ended') reject(new CkptfsError('internal', 'a serving thread ended early'));
        else if (message.kind !== 'failed') this.#seal.hear(message);
        else {
          this.#failed++;
          const left = `${this.size - this.#failed} of ${this.size} serve`;
          this.#log.error(`a serving thread did not start (${left}): ${message.error.message}`);
          reject(fromPlainError(message.error));
        }
      });
    });
  }

  /** Settles when a thread has nothing left to do, or has failed. Threads that are done are not waited for: see {@link exitNow}. */
  async #watch(worker: Worker): Promise<void> {
    await new Promise<void>((resolve) => {
      worker.once('exit', () => resolve());
      worker.once('error', () => resolve());
      worker.on('message', ({ kind }: WorkerMessage) => kind === 'ended' && resolve());
    });
    this.#left--;
  }

  #sum(slot: number): number {
    return this.#memory.reduce((sum, { connection }) => sum + (new Float64Array(connection)[slot] ?? 0), 0);
  }
}

/**
 * Mebibytes of JavaScript objects a thread may have. V8 collects at half of it, and without a limit lets hundreds come together: caches leave
 * garbage that only a full collection finds. A manifest takes about 12 times its size, so nothing comes near the limit itself.
 */
function heapLimit(manifestSize: number, write: boolean): number {
  return (write ? WRITING_HEAP : READING_HEAP) + Math.ceil((32 * manifestSize) / 2 ** 20);
}
