import { expect, test } from 'vitest';
import { SealWatch } from '../../../src/serve/daemon/seal-watch.ts';

test('an image that is not written on, or was never opened, needs no sealing', () => {
  const watch = new SealWatch(() => '/enc');
  watch.hear({ kind: 'refused', text: 'too old' });
  expect([watch.isUnderWay, watch.outcome()]).toEqual([false, undefined]);
});

test('sealing is under way between the first word and the last', async () => {
  const watch = new SealWatch(() => '/enc');
  watch.opened();
  expect(watch.isUnderWay).toBe(false);
  watch.hear({ kind: 'sealing' });
  await watch.begun;
  expect(watch.isUnderWay).toBe(true);
  watch.hear({ kind: 'sealed' });
  expect([watch.isUnderWay, watch.outcome()]).toEqual([false, undefined]);
});

test('what kept an image from being sealed is the outcome', () => {
  const watch = new SealWatch(() => '/enc');
  watch.opened();
  watch.hear({ kind: 'sealing' });
  watch.hear({ kind: 'unsealed', error: { code: 'io', message: 'no room', data: { errno: 'ENOSPC' } } });
  expect(watch.isUnderWay).toBe(false);
  expect(watch.outcome()).toMatchObject({ code: 'io', message: 'no room', data: { errno: 'ENOSPC' } });
});

test.each([[[]], [['sealing' as const]]])('a writer that ends without a word about it has failed: %j', (said) => {
  const watch = new SealWatch(() => '/enc');
  watch.opened();
  for (const kind of said) watch.hear({ kind });
  expect(watch.outcome()).toMatchObject({ code: 'internal', path: '/enc' });
  expect(watch.outcome()?.aftermath).toEqual({ state: 'unsealed', image: '/enc' });
});
