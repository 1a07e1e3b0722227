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
  test.each(fuzzTargets.map((target) => [target.name, target] as const))('%s', (_, target) => {
    const { runs, outcomes } = fuzz(target, SEED, RUNS);
    expect(runs).toBe(RUNS);
    // Input of which all is refused, or all accepted, would test half of a parser at best.
    expect(Object.keys(outcomes).length).toBeGreaterThan(1);
  });

  test('a target that fails is reported with what makes its input again', () => {
    const odd = {
      name: 'odd',
      prepare: () => ({
        attempt: (random: { below(limit: number): number }) => {
          const value = random.below(100);
          return { input: Buffer.of(value), check: () => notSeven(value) };
        },
      }),
    };
    const failure = (first: number, runs: number): FuzzFailure => {
      try {
        fuzz(odd, SEED, runs, first);
      } catch (error) {
        if (error instanceof FuzzFailure) return error;
      }
      throw new Error('no failure');
    };
    const found = failure(0, 10_000);
    expect(found.message).toContain('seven');
    expect(failure(found.index, 1).input).toEqual(found.input);
  });
});
