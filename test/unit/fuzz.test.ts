import { describe, expect, test } from 'vitest';
import { FuzzFailure, fuzz } from '../fuzz/run.ts';
import { must } from '../fuzz/target.ts';
import { fuzzTargets } from '../fuzz/targets.ts';

/** A new seed for each run of the suite would make failures that come and go; `npm run fuzz` takes new ones. */
const SEED = 1;
const RUNS = 4000;

function notSeven(value: number): string {
  must(value !== 7, 'seven');
  return 'fine';
}

describe('fuzz', () => {
  test.each(fuzzTargets.map((target) => [target.name, target] as const))('%s', async (_, target) => {
    const { runs, outcomes } = await fuzz(target, SEED, RUNS);
    expect(runs).toBe(RUNS);
    // Input of which all is refused, or all accepted, would test half of a parser at best.
    expect(Object.keys(outcomes).length).toBeGreaterThan(1);
  });

  test('a target that fails is reported with what makes its input again', async () => {
    const odd = {
      name: 'odd',
      prepare: () => ({
        attempt: (random: { below(limit: number): number }) => {
          const value = random.below(100);
          return { input: Buffer.of(value), check: () => notSeven(value) };
        },
      }),
    };
    const failure = async (first: number, runs: number): Promise<FuzzFailure> => {
      try {
        await fuzz(odd, SEED, runs, first);
      } catch (error) {
        if (error instanceof FuzzFailure) return error;
      }
      throw new Error('no failure');
    };
    const found = await failure(0, 10_000);
    expect(found.message).toContain('seven');
    expect((await failure(found.index, 1)).input).toEqual(found.input);
  });
});
