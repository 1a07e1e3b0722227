import { describe, expect, test } from 'vitest';
import { isNeeded, narrowed, targetsOf } from '../../kind-targets.ts';
import { targetTable } from '../../report.ts';
import type { Competitor, Scenario } from '../../scenario.ts';
import { judge } from '../../targets.ts';
import { runOf, scenarioOf } from './results.ts';

const restore = scenarioOf(
  { 'plain directory': [4], ckptfs: [2], 'ckptfs, lazy-pages': [0.3] },
  { id: 'restore-one', group: 'restore', unit: 'seconds', better: 'lower' },
);

describe('the targets for a kind of machine', () => {
  test('are judged by its own bounds', () => {
    const restoring = (kind: 'dear faults' | 'cheap faults') =>
      judge(runOf([restore], { kind }), targetsOf({ kind }))
        .filter(({ met }) => met !== undefined)
        .map(({ measured, met }) => [measured, met]);
    expect(restoring('dear faults')).toEqual([
      [0.5, false],
      [0.075, true],
    ]);
    expect(restoring('cheap faults')).toEqual([
      [0.5, true],
      [0.075, true],
    ]);
  });
  test('have a line each, with what was measured, the bound and the verdict', () => {
    const run = runOf([restore], { kind: 'dear faults' });
    const lines = targetTable(run, targetsOf(run)).split('\n');
    expect(lines).toContain(
      '| restoring one process until it runs, times as long as plain directory | 0.5 × | at most 0.35 × | **missed** |',
    );
    expect(lines).toHaveLength(2 + targetsOf(run).length);
    expect(new Set(lines).size).toBe(lines.length);
  });
});

test('a run for the targets measures what they compare, and nothing else', () => {
  const competitor = (name: string): Competitor => ({ name, measure: async () => 1 });
  const competitors = ['ckptfs', 'gpg', 'plain directory', 'ckptfs, lazy-pages'].map(competitor);
  const scenario: Scenario = { id: 'restore-one', title: '', unit: 'seconds', better: 'lower', competitors };
  expect(narrowed(scenario)?.competitors.map(({ name }) => name)).toEqual([
    'ckptfs',
    'plain directory',
    'ckptfs, lazy-pages',
  ]);
  expect(narrowed({ ...scenario, id: 'restore-tree' })).toBeUndefined();
  expect([isNeeded('restore-one-all'), isNeeded('restore-tree')]).toEqual([true, false]);
});
