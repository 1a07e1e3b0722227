import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { CkptfsError, fromPlainError } from '../../base/errors.ts';
import { programUrl } from '../../base/program-url.ts';
import type { JobSetup, WorkerReply } from './worker-messages.ts';

/** How work on a whole image is ended before it is done. */
export interface Cancellation {
  readonly signal?: AbortSignal | undefined;
  /**
   * Told when `signal` begins to have an effect, and when that is over. Before and after, this thread alone looks at files,
   * one by one, and hears of nothing meanwhile: if a file system does not answer, only the kernel ends it.
   */
  readonly onCancellable?: ((isCancellable: boolean) => void) | undefined;
}

/** How much of the files' contents is done. */
export interface Progress {
  readonly doneBytes: number;
  readonly totalBytes: number;
}

interface PoolRun<T, R, S extends JobSetup> extends Cancellation {
  /** What every worker is told once: which job it does, on what. */
  readonly setup: S;
  /** Taken from one by one, so it may be as long as it likes. */
  readonly tasks: Iterable<T>;
  /** Number of worker threads. */
  readonly jobs: number;
  readonly onResult: (result: R, task: T) => void;
}

/** How many tasks a worker has at once: the one it does, and the next, so that it never waits for this thread. */
const TASKS_AT_A_WORKER = 2;

const MAX_JOBS = 256;

export const defaultJobs = Math.min(MAX_JOBS, availableParallelism());

/**
 * Runs tasks on worker threads; results come in no order. The first failure ends all of it.
 * @throws CkptfsError whatever a task threw; `interrupted` when `signal` fired; `bad-argument` for any `jobs` but 1 to 256
 */
export async function runTasks<T, R, S extends JobSetup>(run: PoolRun<T, R, S>): Promise<void> {
  if (!Number.isInteger(run.jobs) || run.jobs < 1 || run.jobs > MAX_JOBS) {
    throw new CkptfsError('bad-argument', `${run.jobs} jobs: 1 to ${MAX_JOBS} are possible`);
  }
  const tasks = run.tasks[Symbol.iterator]();
  const workers: RunningWorker[] = [];
  let stop = (): void => undefined;
  let isOver = false;
  run.onCancellable?.(true);
  try {
    await new Promise<void>((resolve, reject) => {
      stop = () => reject(new CkptfsError('interrupted', 'interrupted by a signal'));
      if (run.signal?.aborted === true) return stop();
      run.signal?.addEventListener('abort', stop, { once: true });
      let waiting = 0;
      let exhausted = false;

      const feed = (worker: Worker, pending: T[]): void => {
        while (!exhausted && pending.length < TASKS_AT_A_WORKER) {
          const next = tasks.next();
          if (next.done === true) {
            exhausted = true;
            break;
          }
          pending.push(next.value);
          waiting++;
          worker.postMessage(next.value);
        }
        if (exhausted && waiting === 0) resolve();
      };

      for (let i = 0; i < run.jobs; i++) {
        const worker = new Worker(programUrl('image-worker'), {
          workerData: run.setup,
          // Not those of whoever uses the library: some, such as --input-type, keep a worker from starting.
          execArgv: [],
          // Node knows only of those that it opened itself, and warns when it closes others.
          trackUnmanagedFds: false,
        });
        const pending: T[] = [];
        workers.push(running(worker));
        worker.on('error', (cause) => reject(new CkptfsError('internal', `a worker failed: ${cause}`, { cause })));
        worker.on('exit', (code) => reject(new CkptfsError('internal', `a worker ended early with ${code}`)));
        worker.on('message', (reply: WorkerReply<R> | null) => {
          if (isOver || reply === null) return;
          const task = pending.shift() as T;
          waiting--;
          if ('error' in reply) return reject(fromPlainError(reply.error));
          try {
            run.onResult(reply.result, task);
            feed(worker, pending);
          } catch (error) {
            reject(error);
          }
        });
        feed(worker, pending);
        if (exhausted) break;
      }
    });
  } finally {
    isOver = true;
    run.signal?.removeEventListener('abort', stop);
    await Promise.all(workers.map(stopWorker));
    run.onCancellable?.(false);
  }
}

interface RunningWorker {
  readonly worker: Worker;
  /** Settles when it has wiped its keys, or is gone. */
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
 * Lets a worker wipe its keys, which it does as soon as the tasks it has are done. Its end is not waited for: now and then Node never comes to
 * it (nodejs/node#54918, see docs/design.md §4).
 */
async function stopWorker({ worker, wiped }: RunningWorker): Promise<void> {
  worker.postMessage(null);
  await wiped;
  worker.unref();
}
