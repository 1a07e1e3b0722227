import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as after } from 'node:timers/promises';
import { expect, test } from 'vitest';
import {
  adoptOrphans,
  type ExitTrace,
  letExit,
  lookAtTrace,
  traceExit,
} from '../../../../src/base/linux/exit-trace.ts';

/** Starts a shell that becomes a child of this process, and that Node knows nothing of. */
function orphan(script: string): number {
  adoptOrphans();
  const inBackground = ['sh', '-c', 'setsid sh -c "$1" >/dev/null 2>&1 & echo $!', 'sh', script] as const;
  return Number(spawnSync(inBackground[0], inBackground.slice(1), { encoding: 'utf8' }).stdout);
}

async function next(pid: number, state: ExitTrace['state']): Promise<ExitTrace> {
  for (;;) {
    const trace = lookAtTrace(pid);
    if (trace.state === state) return trace;
    await after(5);
  }
}

test.each([
  ['SIGKILL', 128 + 9],
  ['SIGTERM', 128 + 15],
] as const)('a process that %s ends is held with its descriptors open, until it may go', async (signal, exitCode) => {
  const pid = orphan('while :; do sleep 0.01; done');
  traceExit(pid);
  expect(lookAtTrace(pid)).toEqual({ state: 'running' });
  process.kill(pid, signal);
  expect(await next(pid, 'exiting')).toEqual({ state: 'exiting', exitCode });
  expect(readdirSync(`/proc/${pid}/fd`)).toEqual(expect.arrayContaining(['0', '1', '2']));
  expect(lookAtTrace(pid)).toEqual({ state: 'running' });
  letExit(pid);
  expect(await next(pid, 'gone')).toEqual({ state: 'gone' });
});

test('an exit code is the own one of the process, and signals that it handles reach it', async () => {
  const pid = orphan('trap "exit 7" USR1; kill -STOP $$; while :; do sleep 0.01; done');
  while (!/^State:\tT/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))) await after(5);
  traceExit(pid);
  process.kill(pid, 'SIGCONT');
  for (;;) {
    process.kill(pid, 'SIGUSR1');
    const trace = lookAtTrace(pid);
    if (trace.state === 'exiting') {
      expect(trace.exitCode).toBe(7);
      break;
    }
    await after(5);
  }
  letExit(pid);
  await next(pid, 'gone');
});

test('a process that is gone cannot be traced', () => {
  expect(() => traceExit(2 ** 22)).toThrow(/ESRCH/);
  expect(lookAtTrace(2 ** 22)).toEqual({ state: 'gone' });
});
