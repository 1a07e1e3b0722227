import type { MachineCosts, MachineKind, UnsteadyRound } from './costs.ts';
import type { GroupName } from './options.ts';
import { median } from './statistics.ts';
import type { Unit } from './units.ts';

/** What one competitor did in one scenario: a value for each round. */
export interface Measurement {
  readonly competitor: string;
  readonly values: readonly number[];
}

export interface ScenarioResult {
  readonly id: string;
  readonly group: GroupName;
  readonly title: string;
  readonly unit: Unit;
  readonly better: 'higher' | 'lower';
  /** The competitor that the others are compared with. */
  readonly baseline: string;
  /** `given` where the competitors are a series (sizes, numbers of workers), not rivals. */
  readonly order: 'sorted' | 'given';
  readonly measurements: readonly Measurement[];
  /** The rounds to be doubted; undefined in runs that did not look. */
  readonly unsteady?: readonly UnsteadyRound[];
}

export interface Machine {
  readonly processor: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly system: string;
  readonly kernel: string;
  readonly fileSystem: string;
}

/** One run of the benchmark: a line of results/KIND/history.jsonl. */
export interface RunRecord {
  /** ISO 8601, UTC. */
  readonly date: string;
  readonly commit: string;
  readonly quick: boolean;
  /** Everything was measured, at full length: the run may be quoted. */
  readonly whole: boolean;
  readonly groups: readonly GroupName[];
  readonly rounds: number;
  /** Bytes of the large file. */
  readonly size: number;
  readonly machine: Machine;
  readonly kind: MachineKind;
  /** What the kind was told by; undefined in runs before they were measured. */
  readonly costs?: MachineCosts;
  readonly versions: Readonly<Record<string, string>>;
  readonly scenarios: readonly ScenarioResult[];
  /** Why something was left out, one line each. */
  readonly skipped: readonly string[];
}

/** The median of a competitor, or undefined where it took no part. */
export function medianOf(scenario: ScenarioResult | undefined, competitor: string): number | undefined {
  const found = scenario?.measurements.find((measurement) => measurement.competitor === competitor);
  return found && median(found.values);
}

/** How many times as fast (or as small) `first` is as `second`: above 1, `first` is the better one. */
export function timesBetter(scenario: ScenarioResult, first: string, second: string): number | undefined {
  const [a, b] = [medianOf(scenario, first), medianOf(scenario, second)];
  if (a === undefined || b === undefined) return undefined;
  return scenario.better === 'higher' ? a / b : b / a;
}
