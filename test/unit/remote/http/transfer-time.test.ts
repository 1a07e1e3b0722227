// Goal: who moves bytes has the time for them, and who only promises some has not. Method: a clock that is set.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { TransferTime } from '../../../../src/remote/http/transfer-time.ts';

const SECOND_OF_BYTES = 65_536;
const never = new AbortController().signal;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Waits for the end of the time. @returns the seconds that passed */
async function secondsOf(time: TransferTime): Promise<number> {
  const begun = performance.now();
  let isOver = false;
  const ended = time.run(
    never,
    (signal) => new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve())),
  );
  void ended.then(() => {
    isOver = true;
  });
  while (!isOver) await vi.advanceTimersByTimeAsync(100);
  return (performance.now() - begun) / 1000;
}

test('it is over after the time for an answer and for what is sent', async () => {
  expect(await secondsOf(new TransferTime(60, 0))).toBeCloseTo(60, 0);
  expect(await secondsOf(new TransferTime(60, 10 * SECOND_OF_BYTES))).toBeCloseTo(70, 0);
});

test('a slow server has the time that it takes, and a server that drips has not', async () => {
  for (const [bytes, seconds] of [
    [SECOND_OF_BYTES, 1060],
    [1, 60],
  ] as const) {
    const time = new TransferTime(60, 0);
    let left = 1000;
    const timer = setInterval(() => {
      if (left-- > 0) time.received(bytes);
    }, 1000);
    expect(await secondsOf(time)).toBeCloseTo(seconds, -1);
    clearInterval(timer);
    expect(time.seconds).toBeCloseTo(seconds, -1);
  }
});

test('what comes at once saves no time for later', async () => {
  const time = new TransferTime(60, 0);
  time.received(1_000_000 * SECOND_OF_BYTES);
  expect(await secondsOf(time)).toBeCloseTo(60, 0);
});

test('it ends with another signal, and with the work', async () => {
  const controller = new AbortController();
  const time = new TransferTime(60, 0);
  const aborted = time.run(controller.signal, async (signal) => {
    controller.abort();
    return signal.aborted;
  });
  expect(await aborted).toBe(true);
  expect(await time.run(controller.signal, async (signal) => signal.aborted)).toBe(true);
  expect(await new TransferTime(60, 0).run(never, async () => 'done')).toBe('done');
  expect(vi.getTimerCount()).toBe(0);
});
