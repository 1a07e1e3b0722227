import { expect, test } from 'vitest';
import { runTasks } from '../../../../src/image/workers/worker-pool.ts';

const setup = { job: 'verify', store: '', imageKey: new SharedArrayBuffer(32) } as const;

test.each([Number.NaN, 0, -1, 1.5, 257, 1e9, Number.POSITIVE_INFINITY])('%s jobs are refused', async (jobs) => {
  const run = { setup, tasks: [1], work: { bytes: 1, pieces: 1 }, jobs, onResult: () => undefined };
  await expect(runTasks(run)).rejects.toMatchObject({
    code: 'bad-argument',
    message: expect.stringContaining(`${jobs} jobs`),
  });
});
