import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { onceEnded, startIn, startTime } from '../../../../src/serve/daemon/process-watch.ts';

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

test('does not take a process for ended that cannot be looked at for a while', () => {
  const then = vi.fn();
  const starts: (string | undefined)[] = ['7', 'unknown', '7', undefined];
  onceEnded(5, then, () => (starts.length > 1 ? starts.shift() : starts[0]));
  vi.advanceTimersByTime(12_000);
  expect(then).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1_000);
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

// As the kernel writes it; `threads` is the number of all threads that have not ended, and the first one.
const statOf = (state: string, threads: number): string =>
  `5 (a) b) ${state} 1 5 5 0 -1 4227084 116 0 0 0 0 0 0 0 20 0 ${threads} 0 1684949 0 0 184 0\n`;

test.each([
  ['runs', 'S', 1, '1684949'],
  ['goes on though its first thread has ended', 'Z', 2, '1684949'],
  ['has ended, and was not waited for', 'Z', 1, undefined],
  ['is being removed', 'X', 0, undefined],
])('sees that a process %s', (_, state, threads, start) => {
  expect(startIn(statOf(state, threads))).toBe(start);
});

test('takes no process for ended that cannot be looked at', () => {
  const kill = vi.spyOn(process, 'kill').mockImplementation(() => {
    throw Object.assign(new Error('kill EPERM'), { code: 'EPERM' });
  });
  expect(startTime(2 ** 22 + 1)).toBe('unknown');
  kill.mockRestore();
  expect(startTime(2 ** 22 + 1)).toBeUndefined();
});
