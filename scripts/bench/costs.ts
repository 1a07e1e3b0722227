import fs from 'node:fs';
import { join } from 'node:path';
import { run, timed } from '../lib/commands.ts';
import { median, toSignificant } from './statistics.ts';
import { formatNumber } from './units.ts';

/** What the machine takes for a little of each thing, whatever file system is mounted. */
export interface Probe {
  /** Seconds for the cheapest system call. */
  readonly systemCall: number;
  /** Seconds for a pread(2) of 4 KiB from the page cache. */
  readonly cachedRead: number;
  /** Seconds for the first touch of an anonymous page. */
  readonly firstTouch: number;
  /** Bytes per second of copying memory. */
  readonly memoryCopy: number;
}

/** The costs that are printed with every run. */
export interface MachineCosts extends Probe {
  /** Seconds from starting Node.js with an empty program to its end. */
  readonly emptyNode: number;
}

/**
 * Ratios to a plain directory depend on what a page fault costs: where it is dear, a restore that avoids faults can be
 * faster than from a plain directory.
 */
export type MachineKind = 'dear faults' | 'cheap faults';

export const machineKinds: readonly MachineKind[] = ['dear faults', 'cheap faults'];

/** Seconds; above it faults are dear. Machines measured so far take either less than 1.5 µs or more than 15. */
const DEAR_FIRST_TOUCH = 5e-6;

export function kindOf({ firstTouch }: Probe): MachineKind {
  return firstTouch > DEAR_FIRST_TOUCH ? 'dear faults' : 'cheap faults';
}

/** Names a kind in paths. */
export function folderOf(kind: MachineKind): string {
  return kind.replace(' ', '-');
}

/** A round in which the machine could not do what it can do by itself. */
export interface UnsteadyRound {
  /** From 0. */
  readonly round: number;
  /** What changed most. */
  readonly cost: keyof Probe;
  /** By which factor, above 1, whether it rose or fell. */
  readonly factor: number;
}

/** A round is unsteady when a cost, as other work leaves it before or after, differs by more from the machine's own. */
export const STEADY_FACTOR = 1.5;

const costNames: Readonly<Record<keyof Probe, string>> = {
  systemCall: 'cheapest system call',
  cachedRead: 'cached read of 4 KiB',
  firstTouch: 'first touch of a page',
  memoryCopy: 'memory copy',
};

function costsOf(probe: Probe): (readonly [keyof Probe, number])[] {
  const { systemCall, cachedRead, firstTouch, memoryCopy } = probe;
  return Object.entries({ systemCall, cachedRead, firstTouch, memoryCopy }) as [keyof Probe, number][];
}

/**
 * Finds the rounds of a scenario in which a cost moved by more than {@link STEADY_FACTOR}.
 * @param reference what the machine can do, measured at the start of the run
 * @param probes one before the first round, and one after each
 */
export function unsteadyRounds(reference: Probe, probes: readonly Probe[]): UnsteadyRound[] {
  const worst = (probe: Probe): Omit<UnsteadyRound, 'round'> => {
    const moves = costsOf(probe).map(([cost, value]) => {
      const ratio = value / reference[cost];
      return { cost, factor: Math.max(ratio, 1 / ratio) };
    });
    return moves.reduce((most, move) => (move.factor > most.factor ? move : most));
  };
  return probes.slice(1).flatMap((after, round) => {
    const [before, later] = [worst(probes[round] ?? after), worst(after)];
    const { cost, factor } = before.factor > later.factor ? before : later;
    return factor > STEADY_FACTOR ? [{ round, cost, factor: toSignificant(factor, 3) }] : [];
  });
}

/** Lists unsteady rounds in a sentence, or returns an empty string where there are none. */
export function describeUnsteady(rounds: readonly UnsteadyRound[] | undefined): string {
  if (rounds === undefined || rounds.length === 0) return '';
  const each = rounds.map(({ round, cost, factor }) => `${round + 1} (${costNames[cost]}, ${formatNumber(factor)} ×)`);
  return `The machine's own costs moved by more than ${STEADY_FACTOR} × in round ${each.join(', ')}.`;
}

/** Describes the machine by its costs and names its kind. */
export function describeCosts(costs: MachineCosts): string {
  const microseconds = (seconds: number): string => `${formatNumber(seconds * 1e6)} µs`;
  return [
    `${kindOf(costs)}: first touch of a page ${microseconds(costs.firstTouch)}`,
    `cheapest system call ${microseconds(costs.systemCall)}`,
    `cached read of 4 KiB ${microseconds(costs.cachedRead)}`,
    `memory copy ${formatNumber(costs.memoryCopy / 1e9)} GB/s`,
    `empty Node.js ${formatNumber(costs.emptyNode * 1e3)} ms`,
  ].join(', ');
}

/** What a few short series say. */
export interface Series {
  /** What the machine can do. */
  readonly best: Probe;
  /** What other work leaves of it. */
  readonly median: Probe;
}

/** Measures all costs but that of Node.js, in a fraction of a second. @param program machine-costs, compiled */
export async function probe(program: string, directory: string): Promise<Series> {
  const lines = (await run(program, join(directory, 'machine-costs.data'))).trim().split('\n');
  const [best, middle] = lines.map((line) => JSON.parse(line) as Probe);
  if (best === undefined || middle === undefined) throw new Error('machine-costs measures nothing');
  return { best, median: middle };
}

/** Measures all costs, as the machine has them when nothing else runs. */
export async function measureCosts(program: string, directory: string): Promise<MachineCosts> {
  const nodes: number[] = [];
  const probes: Probe[] = [];
  for (let time = 0; time < 5; time++) {
    probes.push((await probe(program, directory)).best);
    nodes.push(await timeEmptyNode(directory));
  }
  const least = (cost: keyof Probe): number => Math.min(...probes.map((costs) => costs[cost]));
  return {
    systemCall: least('systemCall'),
    cachedRead: least('cachedRead'),
    firstTouch: least('firstTouch'),
    memoryCopy: Math.max(...probes.map(({ memoryCopy }) => memoryCopy)),
    emptyNode: toSignificant(median(nodes), 4),
  };
}

/** Measures the seconds that Node.js takes to start, run an empty program and end. */
export async function timeEmptyNode(directory: string): Promise<number> {
  const program = join(directory, 'empty.cjs');
  fs.writeFileSync(program, '');
  return timed(process.execPath, program);
}
