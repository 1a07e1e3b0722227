import { Worker } from 'node:worker_threads';
import { CkptfsError, fromPlainError } from '../../base/errors.ts';
import { programUrl } from '../../base/program-url.ts';
import { MAX_JOBS, type Work, workersFor } from './worker-count.ts';
import type { JobSetup, WorkerReply } from './worker-messages.ts';

/** How the caller ends work on a whole image before it is done. */
export interface Cancellation {
  readonly signal?: AbortSignal | undefined;
  /**
   * Called with true when `signal` begins to have an effect, and with false when it has none any more. Before and
   * after, this thread itself looks at files, one by one, and hears no signal: if a file system does not answer, only
   * the kernel can end the thread.
   */
  readonly onCancellable?: ((isCancellable: boolean) => void) | undefined;
}

/** How many bytes of files are done. */
export interface Progress {
  readonly doneBytes: number;
  readonly totalBytes: number;
}

interface PoolRun<T, R, S extends JobSetup> extends Cancellation {
  /** What every worker gets once: which job it does, and on what. */
  readonly setup: S;
  /** Tasks are taken one by one, so that there may be any number of them. */
  readonly tasks: Iterable<T>;
  /** All that the tasks have to do. */
  readonly work: Work;
  /** Number of worker threads; by default it follows `work`. */
  readonly jobs?: number | undefined;
  readonly onResult: (result: R, task: T) => void;
}

/** A worker has the task that it does and the next one, so that it never waits for this thread. */
const MAX_TASKS_OF_WORKER = 2;

/**
 * Runs tasks on worker threads. Results come in no order. The first failure ends the run.
 * @throws CkptfsError `interrupted` when `signal` fired; `bad-argument` for a number of jobs that is not 1 to 256
 * @throws the error of the first task, or call of `onResult`, that failed
 */
export async function runTasks<T, R, S extends JobSetup>(run: PoolRun<T, R, S>): Promise<void> {
  const { jobs = workersFor(run.work) } = run;
  if (!Number.isInteger(jobs) || jobs < 1 || jobs > MAX_JOBS) {
    throw new CkptfsError('bad-argument', `${jobs} jobs: 1 to ${MAX_JOBS} are possible`);
  }
  const pool = new Pool(run, jobs);
  const cancel = (): void => pool.fail(interrupted());
  run.onCancellable?.(true);
  try {
    if (run.signal?.aborted === true) throw interrupted();
    run.signal?.addEventListener('abort', cancel, { once: true });
    await pool.work();
  } finally {
    run.signal?.removeEventListener('abort', cancel);
    await pool.stop();
    run.onCancellable?.(false);
  }
}

/** The worker threads of one run, and the tasks that they have. */
class Pool<T, R, S extends JobSetup> {
  readonly #run: PoolRun<T, R, S>;
  readonly #jobs: number;
  readonly #tasks: Iterator<T>;
  readonly #workers: RunningWorker[] = [];
  /** The number of tasks that are with a worker. */
  #givenCount = 0;
  #isExhausted = false;
  #isOver = false;
  #resolve = (): void => undefined;
  #reject: (reason: unknown) => void = () => undefined;

  constructor(run: PoolRun<T, R, S>, jobs: number) {
    this.#run = run;
    this.#jobs = jobs;
    this.#tasks = run.tasks[Symbol.iterator]();
  }

  /** Starts the workers. Resolves when all tasks are done, and rejects with the first failure. */
  work(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
      while (this.#workers.length < this.#jobs && !this.#isExhausted) this.#startWorker();
    });
  }

  /** Lets {@link work} reject, unless it has ended. */
  fail(reason: unknown): void {
    this.#reject(reason);
  }

  /** Resolves when all workers have wiped their keys. */
  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#workers.map(stopWorker));
  }

  #startWorker(): void {
    const worker = new Worker(programUrl('image-worker'), {
      workerData: this.#run.setup,
      // The options of a program that uses the library are left out: some, such as --input-type, stop a worker at once.
      execArgv: [],
      // Node knows only descriptors that it opened itself, and warns when a thread closes others.
      trackUnmanagedFds: false,
    });
    const tasks: T[] = [];
    this.#workers.push(running(worker));
    worker.on('error', (cause) => this.fail(new CkptfsError('internal', `a worker failed: ${cause}`, { cause })));
    worker.on('exit', (code) => this.fail(new CkptfsError('internal', `a worker ended early with ${code}`)));
    worker.on('message', (reply: WorkerReply<R> | null) => this.#onReply(worker, tasks, reply));
    this.#feed(worker, tasks);
  }

  /** @param tasks those that the worker has */
  #onReply(worker: Worker, tasks: T[], reply: WorkerReply<R> | null): void {
    if (this.#isOver || reply === null) return;
    const task = tasks.shift() as T;
    this.#givenCount--;
    if ('error' in reply) {
      this.fail(fromPlainError(reply.error));
      return;
    }
    try {
      this.#run.onResult(reply.result, task);
      this.#feed(worker, tasks);
    } catch (error) {
      this.fail(error);
    }
  }

  #feed(worker: Worker, tasks: T[]): void {
    while (!this.#isExhausted && tasks.length < MAX_TASKS_OF_WORKER) {
      const next = this.#tasks.next();
      if (next.done === true) {
        this.#isExhausted = true;
        break;
      }
      tasks.push(next.value);
      this.#givenCount++;
      worker.postMessage(next.value);
    }
    if (this.#isExhausted && this.#givenCount === 0) this.#resolve();
  }
}

function interrupted(): CkptfsError {
  return new CkptfsError('interrupted', 'interrupted by a signal');
}

interface RunningWorker {
  readonly worker: Worker;
  /** Resolves when it has wiped its keys, or has ended. */
  readonly wiped: Promise<void>;
}

function running(worker: Worker): RunningWorker {
  const wiped = new Promise<void>((resolve) => {
    worker.once('exit', () => resolve());
    worker.on('message', (reply: unknown) => reply === null && resolve());
  });
  return { worker, wiped };
}

/**
 * Lets a worker wipe its keys, which it does when it has done the tasks that it has. Does not wait for its end, because
 * once in a while Node does not end a thread (nodejs/node#54918, see docs/design.md §4).
 */
async function stopWorker({ worker, wiped }: RunningWorker): Promise<void> {
  worker.postMessage(null);
  await wiped;
  worker.unref();
}
