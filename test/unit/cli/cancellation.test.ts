import { afterEach, expect, test, vi } from 'vitest';
import { CkptfsError } from '../../../src/base/errors.ts';
import { cancellable } from '../../../src/cli/cancellation.ts';

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const listeners = (): number[] => signals.map((signal) => process.listenerCount(signal));
const before = listeners();

afterEach(() => {
  vi.useRealTimers();
  expect(listeners()).toEqual(before);
});

test('signals keep their default action, except while threads work', async () => {
  const seen: number[][] = [];
  await cancellable('', async ({ onCancellable }) => {
    seen.push(listeners());
    onCancellable(true);
    seen.push(listeners());
    onCancellable(false);
    seen.push(listeners());
  });
  expect(seen).toEqual([before, before.map((count) => count + 1), before]);
});

test('the first signal cancels, and the next has its default action', async () => {
  const cancelled = cancellable('Half is left.', async ({ signal, onCancellable }) => {
    onCancellable(true);
    process.emit('SIGINT', 'SIGINT');
    expect(signal.aborted).toBe(true);
    expect(listeners()).toEqual(before);
    onCancellable(false);
    throw new CkptfsError('interrupted', 'interrupted by a signal');
  });
  await expect(cancelled).rejects.toMatchObject({ signal: 'SIGINT', left: 'Half is left.', isStuck: false });
});

test('threads that do not stop are not waited for', async () => {
  vi.useFakeTimers();
  const cancelled = cancellable('Half is left.', async ({ onCancellable }) => {
    onCancellable(true);
    process.emit('SIGTERM', 'SIGTERM');
    await new Promise(() => undefined);
  });
  const ended = expect(cancelled).rejects.toMatchObject({ signal: 'SIGTERM', exitCode: 143, isStuck: true });
  await vi.advanceTimersByTimeAsync(5000);
  await ended;
});
