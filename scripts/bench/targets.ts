import { names } from './peers/names.ts';
import { medianOf, type RunRecord, type ScenarioResult, timesBetter } from './results.ts';
import { fastImplementation, opensslSpeed } from './scenarios/crypto-names.ts';
import { dumpThenEncrypt } from './scenarios/dump-names.ts';
import { decryptThenRestore, restoreTools } from './scenarios/restore-names.ts';

export type Bound = { readonly atLeast: number } | { readonly atMost: number };

/** A target of the project: a ratio of medians of one run, or an absolute bound. */
export interface Target {
  readonly claim: string;
  /** What was measured, or undefined where something took no part. */
  measured(run: RunRecord): number | undefined;
  readonly bound: Bound;
  readonly unit: '×' | 'ms' | 'MiB';
}

export interface Verdict {
  readonly target: Target;
  readonly measured: number | undefined;
  readonly met: boolean | undefined;
}

function scenarioOf(run: RunRecord, id: string): ScenarioResult | undefined {
  return run.scenarios.find((scenario) => scenario.id === id);
}

/** Demands that ckptfs is at least `factor` times as fast as `peer`. */
function faster(claim: string, id: string, peer: string, factor: number, ours: string = names.ours): Target {
  return {
    claim: `${claim}, times as fast as ${peer}`,
    measured(run) {
      const scenario = scenarioOf(run, id);
      return scenario && timesBetter(scenario, ours, peer);
    },
    bound: { atLeast: factor },
    unit: '×',
  };
}

/** Demands that ckptfs takes at most `factor` times as long as the plain directory. */
function closeToPlain(claim: string, id: string, factor: number): Target {
  return {
    claim: `${claim}, times as long as with a plain directory`,
    measured(run) {
      const scenario = scenarioOf(run, id);
      return scenario && timesBetter(scenario, names.plain, names.ours);
    },
    bound: { atMost: factor },
    unit: '×',
  };
}

/** Bounds ckptfs at the `index`-th image size of a growth scenario, divided by `divisor`. */
function atImageSize(
  claim: string,
  id: string,
  index: number,
  atMost: number,
  divisor: number,
  unit: 'ms' | 'MiB',
): Target {
  return {
    claim,
    measured(run) {
      const scenario = scenarioOf(run, id);
      const competitor = scenario?.measurements[index]?.competitor;
      const value = competitor?.startsWith(names.ours) ? medianOf(scenario, competitor) : undefined;
      return value === undefined ? undefined : value / divisor;
    },
    bound: { atMost },
    unit,
  };
}

/** Bounds the largest median of ckptfs in a growth scenario, over the smallest. */
const flatMemory: Target = {
  claim: 'peak memory of the daemon, greatest over least of all image sizes',
  measured(run) {
    const scenario = scenarioOf(run, 'growth-memory');
    const ours = scenario?.measurements.filter(({ competitor }) => competitor.startsWith(names.ours)) ?? [];
    const medians = ours.map(({ competitor }) => medianOf(scenario, competitor)).filter((value) => value !== undefined);
    return medians.length > 1 ? Math.max(...medians) / Math.min(...medians) : undefined;
  },
  bound: { atMost: 1.5 },
  unit: '×',
};

const fastestDecryption: Target = {
  claim: 'restoring one process, times as fast as the fastest way that decrypts first',
  measured(run) {
    const scenario = scenarioOf(run, 'restore-one');
    const ratios = restoreTools.map((tool) => scenario && timesBetter(scenario, names.ours, decryptThenRestore(tool)));
    const known = ratios.filter((ratio) => ratio !== undefined);
    return known.length > 0 ? Math.min(...known) : undefined;
  },
  bound: { atLeast: 1.57 },
  unit: '×',
};

/** 150 MiB and the default cache. */
const memoryBound = 150 + 64;
const dumps = [
  { claim: 'dumping one process', id: 'write-dump' },
  { claim: 'dumping one process until it is unmounted and durable', id: 'write-dump-durable' },
];
const imageSizes = ['smallest', 'large', 'biggest'];

/** The targets of the first releases, whatever the kind of machine. */
export const targets: readonly Target[] = [
  faster('sequential reading', 'sequential-cached', names.gocryptfs, 1.7),
  faster('sequential reading', 'sequential-cached', names.passthrough, 1.2),
  faster('random reading, 1 reader', 'random-1', names.gocryptfs, 1.1),
  faster('random reading, 4 readers', 'random-4', names.gocryptfs, 1.5),
  faster('random reading, 16 readers', 'random-16', names.gocryptfs, 1.5),
  closeToPlain('restoring one process', 'restore-one', 1.5),
  faster('restoring one process', 'restore-one', names.gocryptfs, 2),
  fastestDecryption,
  closeToPlain('mounting and reading many small files', 'small-files-tar', 1.5),
  ...dumps.flatMap(({ claim, id }) => [
    closeToPlain(claim, id, 1.5),
    faster(claim, id, names.gocryptfs, 2),
    faster(claim, id, dumpThenEncrypt(names.age), 2),
  ]),
  faster('sequential writing', 'write-sequential', names.gocryptfs, 1.5),
  faster('writing small files', 'write-small', names.gocryptfs, 1),
  faster('writing small files, each with fsync', 'write-small-fsync', names.gocryptfs, 1),
  ...imageSizes.map((size, index) =>
    atImageSize(`mounting and first byte, ${size} image`, 'growth-first-byte', index, 150, 1e-3, 'ms'),
  ),
  faster('encrypting', 'encrypt', names.age, 3),
  faster('encrypting', 'encrypt', names.openssl, 1.2),
  faster('decrypting', 'decrypt', names.age, 3),
  faster('decrypting', 'decrypt', names.openssl, 1.2),
  ...imageSizes.map((size, index) =>
    atImageSize(`peak memory of the daemon, ${size} image`, 'growth-memory', index, memoryBound, 2 ** 20, 'MiB'),
  ),
  flatMemory,
  faster('AES-256-XTS, sectors of 4 KiB', 'crypto-aes-256-xts', opensslSpeed, 0.75, fastImplementation),
];

export function judge(run: RunRecord, judged: readonly Target[]): Verdict[] {
  return judged.map((target) => {
    const measured = target.measured(run);
    if (measured === undefined) return { target, measured, met: undefined };
    const { bound } = target;
    return { target, measured, met: 'atLeast' in bound ? measured >= bound.atLeast : measured <= bound.atMost };
  });
}
