import { parentPort, workerData } from 'node:worker_threads';
import { CkptfsError, toPlainError } from '../base/errors.ts';
import { type SealSetup, sealWorker } from './create/seal-worker.ts';
import { type ExtractSetup, extractWorker } from './extract/extract-worker.ts';
import { type ResealSetup, resealWorker } from './reencrypt/reseal-worker.ts';
import { type VerifySetup, verifyWorker } from './verify/verify-worker.ts';
import type { JobWorker, WorkerReply } from './workers/worker-messages.ts';

type WorkerSetup = SealSetup | VerifySetup | ExtractSetup | ResealSetup;

function startJob(setup: WorkerSetup): JobWorker {
  switch (setup.job) {
    case 'seal':
      return sealWorker(setup);
    case 'verify':
      return verifyWorker(setup);
    case 'extract':
      return extractWorker(setup);
    case 'reseal':
      return resealWorker(setup);
  }
}

/**
 * Does one kind of job, task by task, until it is sent null. It is the program of each thread that `runTasks` starts.
 * @throws CkptfsError `internal` outside a worker thread
 */
export function runImageWorker(): void {
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
