import { parentPort, workerData } from 'node:worker_threads';
import { CkptfsError, toPlainError } from '../base/errors.ts';
import { type ExtractSetup, extractWorker } from './extract-worker.ts';
import { type SealSetup, sealWorker } from './seal-worker.ts';
import { type VerifySetup, verifyWorker } from './verify-worker.ts';
import type { WorkerReply } from './worker-pool.ts';

/** The entry of every worker thread of {@link runTasks}: does one kind of job, task by task, until it is sent null. */

export type WorkerSetup = SealSetup | VerifySetup | ExtractSetup;

/** A job's side of the work: `run` does one task; `close` wipes. */
export interface JobWorker {
  run(task: unknown): unknown;
  close(): void;
}

function startJob(setup: WorkerSetup): JobWorker {
  switch (setup.job) {
    case 'seal':
      return sealWorker(setup);
    case 'verify':
      return verifyWorker(setup);
    case 'extract':
      return extractWorker(setup);
  }
}

function main(): void {
  const port = parentPort;
  if (port === null) throw new CkptfsError('internal', 'not a worker thread');
  let job: JobWorker | undefined;
  port.on('message', (task: unknown) => {
    if (task === null) {
      job?.close();
      port.postMessage(null);
      port.close();
      return;
    }
    let reply: WorkerReply<unknown>;
    try {
      job ??= startJob(workerData as WorkerSetup);
      reply = { result: job.run(task) };
    } catch (error) {
      reply = { error: toPlainError(error) };
    }
    port.postMessage(reply);
  });
}

main();
