import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { onceEnded, startTime } from '../../../../src/serve/daemon/process-watch.ts';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

test('calls once, and only when those who should act have had their time', () => {
  const then = vi.fn();
  let start: string | undefined = '7';
  onceEnded(5, then, () => start);
  vi.advanceTimersByTime(60_000);
  start = undefined;
  vi.advanceTimersByTime(9_000);
  expect(then).not.toHaveBeenCalled();
  vi.advanceTimersByTime(60_000);
  expect(then).toHaveBeenCalledOnce();
});

test.each([
  ['another process has its pid', ['7', '8']],
  ['it had ended before', [undefined, undefined]],
  ['another process had its pid before', [undefined, '8']],
])('takes a process for ended when %s', (_, starts) => {
  const then = vi.fn();
  onceEnded(5, then, () => (starts.length > 1 ? starts.shift() : starts[0]));
  vi.advanceTimersByTime(12_000);
  expect(then).toHaveBeenCalledOnce();
});

test('knows a process by when it was started, until it has ended', async () => {
  vi.useRealTimers();
  const child = spawn('sh', ['-c', 'read -r _'], { stdio: ['pipe', 'ignore', 'ignore'] });
  const pid = child.pid ?? 0;
  const start = startTime(pid);
  expect([start, startTime(pid)]).toEqual([expect.stringMatching(/^\d+$/), start]);
  child.stdin.end('\n');
  await once(child, 'exit');
  expect(startTime(pid)).toBeUndefined();
});
