import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { withinTime } from '../../../../src/keys/sources/within-time.ts';

setFlagsFromString('--expose-gc');
const collectGarbage: () => void = runInNewContext('gc');

/** Ends when its signal is aborted, and never otherwise. */
function hanging(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const onAbort = (): void => reject(new Error('aborted'));
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
  });
}

test('work ends when its time is over, also where garbage was collected meanwhile', async () => {
  const work = withinTime(100, new AbortController().signal, hanging);
  const collecting = setInterval(collectGarbage, 10);
  await expect(work).rejects.toThrow('aborted');
  clearInterval(collecting);
});

test('work ends when it is interrupted, before or while it runs', async () => {
  const interruption = new AbortController();
  const work = withinTime(600_000, interruption.signal, hanging);
  interruption.abort();
  await expect(work).rejects.toThrow('aborted');
  await expect(withinTime(600_000, interruption.signal, hanging)).rejects.toThrow('aborted');
});

test('work that is interrupted has a grace time to end in order', async () => {
  const interruption = new AbortController();
  const work = withinTime(600_000, interruption.signal, hanging, 50);
  interruption.abort();
  expect(await Promise.race([work.catch(() => 'ended'), Promise.resolve('goes on')])).toBe('goes on');
  await expect(work).rejects.toThrow('aborted');
});

test('work that ends in time gives what it gives', async () => {
  const { signal } = new AbortController();
  expect(await withinTime(600_000, signal, async () => 7)).toBe(7);
  await expect(withinTime(600_000, signal, () => Promise.reject(new Error('its own')))).rejects.toThrow('its own');
});
