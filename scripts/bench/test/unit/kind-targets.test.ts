import { describe, expect, test } from 'vitest';
import { targetsOf } from '../../kind-targets.ts';
import { targetTable } from '../../report.ts';
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
