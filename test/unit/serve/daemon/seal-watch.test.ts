import { expect, test } from 'vitest';
import { SealWatch } from '../../../../src/serve/daemon/seal-watch.ts';

test('an image that was never opened to be written needs no sealing', () => {
  const watch = new SealWatch(() => '/enc');
  expect([watch.isSealing, watch.outcome()]).toEqual([false, undefined]);
});

test('an image is being sealed between the first message and the last', async () => {
  const watch = new SealWatch(() => '/enc');
  watch.onOpened();
  expect(watch.isSealing).toBe(false);
  watch.onMessage({ kind: 'sealing' });
  await watch.begun;
  expect(watch.isSealing).toBe(true);
  watch.onMessage({ kind: 'sealed' });
  expect([watch.isSealing, watch.outcome()]).toEqual([false, undefined]);
});

test('the outcome is the error that kept the image from being sealed', () => {
  const watch = new SealWatch(() => '/enc');
  watch.onOpened();
  watch.onMessage({ kind: 'sealing' });
  watch.onMessage({ kind: 'unsealed', error: { code: 'io', message: 'no room', data: { errno: 'ENOSPC' } } });
  expect(watch.isSealing).toBe(false);
  expect(watch.outcome()).toMatchObject({ code: 'io', message: 'no room', data: { errno: 'ENOSPC' } });
});

test.each([[[]], [['sealing' as const]]])('a writer that ends without a message of success has failed: %j', (sent) => {
  const watch = new SealWatch(() => '/enc');
  watch.onOpened();
  for (const kind of sent) watch.onMessage({ kind });
  expect(watch.outcome()).toMatchObject({ code: 'internal', path: '/enc' });
  expect(watch.outcome()?.aftermath).toEqual({ state: 'unsealed', image: '/enc' });
});
