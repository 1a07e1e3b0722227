import { expect, test } from 'vitest';
import { CkptfsError } from '../../../../src/base/errors.ts';
import { Outage } from '../../../../src/remote/lazy/outage.ts';

const away = new CkptfsError('store-unavailable', 'no answer', { data: { reason: 'timeout' } });
const damaged = new CkptfsError('damaged', 'other bytes');

/** An outage whose clock the test moves. */
function made() {
  let now = 5000;
  const outage = new Outage(() => now);
  const pass = (milliseconds: number): void => {
    now += milliseconds;
  };
  const failAfter = async (milliseconds: number, error: unknown): Promise<void> => {
    const asked = outage.noting(async () => {
      pass(milliseconds);
      throw error;
    });
    await expect(asked).rejects.toBe(error);
  };
  return { outage, pass, failAfter };
}

test('a store that let a request wait is away for a moment, and is asked again then', async () => {
  const { outage, pass, failAfter } = made();
  expect(outage.current).toBeUndefined();
  await failAfter(60_000, away);
  expect(outage.current).toBe(away);
  pass(999);
  expect(outage.current).toBe(away);
  pass(1);
  expect(outage.current).toBeUndefined();
  expect(await outage.noting(async () => 'bytes')).toBe('bytes');
});

test.each([
  ['one that failed at once', 999, away],
  ['one that gave wrong bytes', 60_000, damaged],
  ['a fault of this program', 60_000, new Error('fault')],
])('%s is asked again at once', async (_, milliseconds, error) => {
  const { outage, failAfter } = made();
  await failAfter(milliseconds, error);
  expect(outage.current).toBeUndefined();
});
