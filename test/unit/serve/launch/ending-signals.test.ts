import { once } from 'node:events';
import { afterEach, expect, test } from 'vitest';
import { EndingSignals } from '../../../../src/serve/launch/ending-signals.ts';

let signals: EndingSignals;
afterEach(() => signals.close());

/** Sends this process a signal, and waits until it was handled. */
async function send(signal: NodeJS.Signals): Promise<void> {
  const handled = once(process, signal);
  process.kill(process.pid, signal);
  await handled;
}

test('the first signal that asks for the end is kept, and told once', async () => {
  signals = new EndingSignals();
  const told: string[] = [];
  signals.whenReceived((signal) => told.push(signal));
  for (const signal of ['SIGHUP', 'SIGQUIT', 'SIGUSR2'] as const) await send(signal);
  expect(signals.received).toBeUndefined();
  await send('SIGTERM');
  await send('SIGINT');
  expect(signals.received).toBe('SIGTERM');
  expect(told).toEqual(['SIGTERM']);
});

test('one SIGINT can be spared, which the terminal sends to the command as well', async () => {
  signals = new EndingSignals();
  signals.spareOneInterrupt();
  await send('SIGINT');
  expect(signals.received).toBeUndefined();
  await send('SIGINT');
  expect(signals.received).toBe('SIGINT');
});

test('no handler is left', () => {
  const count = (): number[] => ['SIGTERM', 'SIGINT', 'SIGHUP'].map((signal) => process.listenerCount(signal));
  const before = count();
  signals = new EndingSignals();
  expect(count()).not.toEqual(before);
  signals.close();
  expect(count()).toEqual(before);
});
