import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { compiled } from '../../bench.ts';
import { describeCosts, describeUnsteady, kindOf, probe, unsteadyRounds } from '../../costs.ts';

const costs = { systemCall: 1e-6, cachedRead: 2e-6, firstTouch: 16e-6, memoryCopy: 1e10 };

test('a machine is named by the first touch of a page', () => {
  expect(kindOf(costs)).toBe('dear faults');
  expect(kindOf({ ...costs, firstTouch: 5e-6 })).toBe('cheap faults');
  expect(describeCosts({ ...costs, emptyNode: 0.109 })).toBe(
    'dear faults: first touch of a page 16 µs, cheapest system call 1 µs, cached read of 4 KiB 2 µs, ' +
      'memory copy 10 GB/s, empty Node.js 109 ms',
  );
});

describe('a round is unsteady', () => {
  test('when a cost rose or fell by more than half before or after it', () => {
    const faster = { ...costs, systemCall: 0.5e-6 };
    const copying = { ...costs, memoryCopy: 4e9 };
    expect(unsteadyRounds(costs, [faster, costs, costs, copying])).toEqual([
      { round: 0, cost: 'systemCall', factor: 2 },
      { round: 2, cost: 'memoryCopy', factor: 2.5 },
    ]);
    expect(unsteadyRounds(costs, [costs, { ...costs, firstTouch: 23e-6 }, costs])).toEqual([]);
  });
  test('and the page says so', () => {
    expect(describeUnsteady([{ round: 2, cost: 'memoryCopy', factor: 2.5 }])).toBe(
      "The machine's own costs moved by more than 1.5 × in round 3 (memory copy, 2.5 ×).",
    );
    expect([describeUnsteady([]), describeUnsteady(undefined)]).toEqual(['', '']);
  });
});

test('each cost of this machine is measured, and is that of one thing', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'ckptfs-bench-test-'));
  try {
    const { best, median } = await probe(await compiled('machine-costs', directory), directory);
    for (const cost of ['systemCall', 'cachedRead', 'firstTouch'] as const) {
      expect(best[cost]).toBeGreaterThan(1e-9);
      expect(best[cost]).toBeLessThan(1e-2);
      expect(median[cost]).toBeGreaterThanOrEqual(best[cost]);
    }
    expect(best.cachedRead).toBeGreaterThan(best.systemCall);
    expect(best.memoryCopy).toBeGreaterThanOrEqual(median.memoryCopy);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
