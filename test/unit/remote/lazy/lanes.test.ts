import { expect, test } from 'vitest';
import { type Settleable, settleable } from '../../../../src/base/settleable.ts';
import { Lanes } from '../../../../src/remote/lazy/lanes.ts';

test('work is done a few at a time, in order, whether it fails or not, and the oldest does not wait for ever', async () => {
  const lanes = new Lanes(2, 3);
  const begun: number[] = [];
  const works = Array.from({ length: 7 }, () => settleable<void>());
  for (const [number, work] of works.entries()) {
    lanes.add(() => {
      begun.push(number);
      return work.promise;
    });
  }
  expect(begun).toEqual([0, 1]);
  // Of 2 to 6 the last three wait.
  (works[1] as Settleable<void>).reject(new Error('a fault'));
  await expect.poll(() => begun).toEqual([0, 1, 4]);
  for (const work of works) work.resolve();
  await expect.poll(() => begun).toEqual([0, 1, 4, 5, 6]);
});
