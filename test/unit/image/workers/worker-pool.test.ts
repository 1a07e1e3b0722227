import { expect, test } from 'vitest';
import { defaultJobs, runTasks } from '../../../../src/image/workers/worker-pool.ts';

const setup = { job: 'verify', store: '', imageKey: new SharedArrayBuffer(32) } as const;

test.each([Number.NaN, 0, -1, 1.5, 257, 1e9, Number.POSITIVE_INFINITY])('%s jobs are refused', async (jobs) => {
  const run = { setup, tasks: [1], jobs, onResult: () => undefined };
  await expect(runTasks(run)).rejects.toMatchObject({
    code: 'bad-argument',
    message: expect.stringContaining(`${jobs} jobs`),
  });
});

test('the default is possible', () => {
  expect(defaultJobs).toBeGreaterThanOrEqual(1);
  expect(defaultJobs).toBeLessThanOrEqual(256);
});
