import { expect, test } from 'vitest';
import { Passing, type Way } from '../../passing.ts';

test('what is measured in passing is reported for the same round', async () => {
  let time = 0;
  const way: Way<{ runs: number; all: number }> = {
    name: 'a',
    measure: async () => {
      time += 1;
      return { runs: time, all: 10 * time };
    },
  };
  const passing = new Passing<{ runs: number; all: number }>();
  const [measuring] = passing.measuring([way], ({ runs }) => runs);
  const [reporting] = passing.reporting([way], ({ all }) => all);
  expect([await measuring?.measure(0), await measuring?.measure(1)]).toEqual([1, 2]);
  expect([await reporting?.measure(0), await reporting?.measure(1)]).toEqual([10, 20]);
  await expect(reporting?.measure(2)).rejects.toThrow('not measured');
});
