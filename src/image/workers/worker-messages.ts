import type { PlainError } from '../../base/errors.ts';

/** What every worker thread is told once: which job it does. Each job adds what it works on. */
export interface JobSetup {
  readonly job: 'seal' | 'verify' | 'extract';
}

/** A worker thread's side of a job: `run` does one task; `close` wipes its keys. */
export interface JobWorker {
  run(task: unknown): unknown;
  close(): void;
}

/** What a worker thread answers to one task. */
export type WorkerReply<R> = { readonly result: R } | { readonly error: PlainError };
