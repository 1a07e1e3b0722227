import type { PlainError } from '../../base/errors.ts';

/** What every worker thread gets once: which job it does. Each job adds what it works on. */
export interface JobSetup {
  readonly job: 'seal' | 'verify' | 'extract' | 'reseal';
}

/** The part of a job in a worker thread. `run` does one task, and `close` wipes the keys. */
export interface JobWorker {
  run(task: unknown): unknown;
  close(): void;
}

/** What a worker thread answers to one task. */
export type WorkerReply<R> = { readonly result: R } | { readonly error: PlainError };
