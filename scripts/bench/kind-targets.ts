import type { MachineKind } from './costs.ts';
import { names } from './peers/names.ts';
import { medianOf, type RunRecord, type ScenarioResult, timesBetter } from './results.ts';
import { allRead, lazily } from './scenarios/restore-names.ts';
import type { Bound, Target } from './targets.ts';

// The targets for each kind of machine: `npm run bench -- --targets` measures what they need and nothing else.

interface KindTarget {
  readonly claim: string;
  readonly scenario: string;
  /** Who has to take part. */
  readonly competitors: readonly string[];
  readonly bounds: Readonly<Record<MachineKind, Bound>>;
  readonly unit: Target['unit'];
  measured(scenario: ScenarioResult): number | undefined;
}

/** Bounds how many times as long as a rival ckptfs takes. */
function atMost(
  claim: string,
  scenario: string,
  rival: string,
  [dear, cheap]: readonly [number, number],
  ours: string = names.ours,
): KindTarget {
  return {
    claim: `${claim}, times as long as ${rival}`,
    scenario,
    competitors: [ours, rival],
    bounds: { 'dear faults': { atMost: dear }, 'cheap faults': { atMost: cheap } },
    unit: '×',
    measured: (result) => timesBetter(result, rival, ours),
  };
}

/** Bounds how many times as fast as a rival ckptfs is. */
function atLeast(
  claim: string,
  scenario: string,
  rival: string,
  [dear, cheap]: readonly [number, number],
  ours: string = names.ours,
): KindTarget {
  return {
    claim: `${claim}, times as fast as ${rival}`,
    scenario,
    competitors: [ours, rival],
    bounds: { 'dear faults': { atLeast: dear }, 'cheap faults': { atLeast: cheap } },
    unit: '×',
    measured: (result) => timesBetter(result, ours, rival),
  };
}

const memoryBound: Bound = { atMost: 70 };
const { plain, gocryptfs, before, oursDirect, oursGcm, oursGcmDirect, oursUring } = names;

const kindTargets: readonly KindTarget[] = [
  atMost('restoring one process until it runs', 'restore-one', plain, [0.35, 1.15]),
  atMost('restoring one process until it has read all its memory', allRead('restore-one'), plain, [0.65, 1.15]),
  atMost('restoring one process by lazy-pages until it runs', 'restore-one', plain, [0.1, 0.5], lazily(names.ours)),
  atMost('four restores at once', 'restore-4', plain, [0.45, 1.2]),
  atLeast('sequential reading, AES-256-XTS', 'sequential-cached', gocryptfs, [2, 1.8]),
  atLeast('sequential reading, AES-256-GCM', 'sequential-cached', gocryptfs, [2.5, 2.2], oursGcm),
  atLeast('sequential reading past the page cache, AES-256-XTS', 'sequential-cached', gocryptfs, [2, 1.8], oursDirect),
  atLeast(
    'sequential reading past the page cache, AES-256-GCM',
    'sequential-cached',
    gocryptfs,
    [2.5, 2.2],
    oursGcmDirect,
  ),
  atLeast('random reading, 1 reader', 'random-1', gocryptfs, [1.4, 1.3]),
  atLeast('random reading, 4 readers', 'random-4', gocryptfs, [1.2, 1.5]),
  atLeast('random reading, 16 readers', 'random-16', gocryptfs, [1.5, 1.5]),
  atLeast('random reading over io_uring, 1 reader', 'random-1', gocryptfs, [1.8, 1.5], oursUring),
  atLeast('random reading over io_uring, 4 readers', 'random-4', gocryptfs, [2.3, 2], oursUring),
  atLeast('random reading over io_uring, 16 readers', 'random-16', gocryptfs, [3, 2], oursUring),
  atMost('dumping one process', 'write-dump', plain, [1.4, 1.3]),
  atMost('mounting and reading the first byte', 'first-byte', names.emptyNode, [1.4, 1.4]),
  atLeast('reading in pieces of 10 KiB', 'small-reads-dd', before, [1, 1]),
  atLeast('reading 4,000 files by tar', 'small-reads-tar', before, [1, 1]),
  {
    claim: 'memory of an idle mount',
    scenario: 'idle-memory',
    competitors: [names.ours],
    bounds: { 'dear faults': memoryBound, 'cheap faults': memoryBound },
    unit: 'MiB',
    measured(result) {
      const bytes = medianOf(result, names.ours);
      return bytes === undefined ? undefined : bytes / 2 ** 20;
    },
  },
];

/** The targets for the kind of machine that a run was made on. */
export function targetsOf({ kind }: Pick<RunRecord, 'kind'>): Target[] {
  return kindTargets.map(({ claim, scenario, bounds, unit, measured }) => ({
    claim,
    bound: bounds[kind],
    unit,
    measured(run) {
      const result = run.scenarios.find(({ id }) => id === scenario);
      return result && measured(result);
    },
  }));
}

/** Whether a target needs a scenario. */
export function isNeeded(id: string): boolean {
  return kindTargets.some(({ scenario }) => scenario === id);
}

/** Lists who has to take part in a scenario for the targets. */
export function needed(id: string): string[] {
  return kindTargets.filter(({ scenario }) => scenario === id).flatMap(({ competitors }) => competitors);
}
