import type { Measurement, RunRecord, ScenarioResult } from '../../results.ts';

/** A scenario of made-up values, for tests of what is done with them. */
export function scenarioOf(
  values: Readonly<Record<string, readonly number[]>>,
  more: Partial<ScenarioResult> = {},
): ScenarioResult {
  const measurements = Object.entries(values).map(([competitor, all]): Measurement => ({ competitor, values: all }));
  return {
    id: 'sequential-cached',
    group: 'sequential',
    title: 'Reading 1 GiB',
    unit: 'bytes per second',
    better: 'higher',
    baseline: 'ckptfs',
    order: 'sorted',
    measurements,
    ...more,
  };
}

export function runOf(scenarios: readonly ScenarioResult[], more: Partial<RunRecord> = {}): RunRecord {
  return {
    date: '2026-01-02T03:04:05.000Z',
    commit: 'abcdef0123',
    quick: false,
    whole: true,
    groups: ['sequential', 'random', 'restore', 'small-files', 'writing', 'convert', 'growth', 'tricks', 'crypto'],
    rounds: 5,
    size: 2 ** 30,
    machine: {
      processor: 'a processor',
      cores: 2,
      memoryBytes: 2 ** 34,
      system: 'a system',
      kernel: '6.1',
      fileSystem: 'ext4',
    },
    kind: 'cheap faults',
    costs: { systemCall: 2e-7, cachedRead: 3e-7, firstTouch: 1e-6, memoryCopy: 1e10, emptyNode: 0.05 },
    versions: { ckptfs: '1', gocryptfs: '2' },
    scenarios,
    skipped: [],
    ...more,
  };
}
