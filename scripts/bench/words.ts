import { describeCosts, STEADY_FACTOR } from './costs.ts';
import { listed } from './markdown.ts';
import { names } from './peers/names.ts';
import { rowsOf } from './plot.ts';
import { type RunRecord, type ScenarioResult, timesBetter } from './results.ts';
import { formatNumber, formatSize, formatValue, scaleFor } from './units.ts';

const MIN_DIFFERENCE = 0.05;

/** Names a competitor in a sentence. */
function named(competitor: string): string {
  return competitor === names.plain ? `a ${names.plain}` : competitor;
}

/**
 * Compares the baseline with its rivals, in one sentence; empty where there are none to compare it with.
 * @param counts which rivals the sentence names
 */
function comparison(scenario: ScenarioResult, counts: (competitor: string) => boolean): string {
  const { baseline } = scenario;
  const rivals = rowsOf(scenario)
    .filter(({ competitor }) => competitor !== baseline && counts(competitor))
    .map(({ competitor }) => ({
      name: named(competitor),
      ratio: timesBetter(scenario, baseline, competitor) ?? Number.NaN,
    }));
  const alike = rivals.filter(({ ratio }) => Math.abs(ratio - 1) < MIN_DIFFERENCE).map(({ name }) => name);
  const slower = rivals.filter(({ ratio }) => ratio >= 1 + MIN_DIFFERENCE);
  const faster = rivals.filter(({ ratio }) => ratio <= 1 - MIN_DIFFERENCE);
  const shares = [
    slower.length > 0 &&
      `is ${listed(slower.map(({ name, ratio }) => `${formatNumber(ratio)} times as fast as ${name}`))}`,
    alike.length > 0 && `is about as fast as ${listed(alike)}`,
    faster.length > 0 &&
      `takes ${listed(faster.map(({ name, ratio }) => `${formatNumber(1 / ratio)} times as long as ${name}`))}`,
  ].filter((share) => share !== false);
  return shares.length === 0 ? '' : `${baseline} ${shares.join('; it ')}.`;
}

/** Lists the medians of a series, of which no member is the rival of another. */
function medians(scenario: ScenarioResult): string {
  const rows = rowsOf(scenario);
  const scale = scaleFor(scenario.unit, Math.max(...rows.map(({ median }) => median)));
  return `Medians: ${rows.map(({ competitor, median }) => `${formatValue(median, scale)} (${competitor})`).join(', ')}.`;
}

/** Compares the baseline with its rivals in words; empty for a series, which has no rivals. */
export function inWords(scenario: ScenarioResult): string {
  return scenario.order === 'given' ? '' : comparison(scenario, () => true);
}

/** Compares the baseline with a few rivals only; of a series, lists the medians. */
export function inFewWords(scenario: ScenarioResult, rivals: readonly string[]): string {
  return scenario.order === 'given' ? medians(scenario) : comparison(scenario, (name) => rivals.includes(name));
}

/** Names what the machine takes by itself; says so where a run did not measure it. */
export function costsInWords({ costs, kind }: RunRecord): string {
  return `Machine: ${costs === undefined ? `${kind}, by the time of its restores; its costs were not measured` : describeCosts(costs)}.`;
}

/** Says how many rounds are to be doubted; empty for a run that did not look. */
export function doubtsInWords({ scenarios, rounds }: RunRecord): string {
  const looked = scenarios.flatMap(({ unsteady }) => unsteady ?? []);
  if (scenarios.every(({ unsteady }) => unsteady === undefined)) return '';
  return `In ${looked.length} of ${scenarios.length * rounds} rounds a cost of the machine moved by more than ${STEADY_FACTOR} ×.`;
}

/** Lists when, on what and with what a run was made, a line each. */
export function conditionsOf(run: RunRecord): string[] {
  const { processor, cores, memoryBytes, system, kernel, fileSystem } = run.machine;
  const versions = Object.entries(run.versions).map(([name, version]) => `${name} ${version}`);
  const quick = run.quick ? ', quick: not to be quoted' : '';
  return [
    `- Run: ${run.date.slice(0, 10)}, commit ${run.commit}, ${run.rounds} rounds${quick}.`,
    `- Processor: ${processor}, ${cores} cores, ${formatSize(memoryBytes)} of memory, ${fileSystem}; ${system}, Linux ${kernel}.`,
    `- ${costsInWords(run)}`,
    `- Versions: ${versions.join(', ')}.`,
    ...[doubtsInWords(run)].filter((words) => words !== '').map((words) => `- ${words}`),
    ...run.skipped.map((line) => `- Left out: ${line.replaceAll('\n', ' ')}`),
  ];
}

export const FAIRNESS =
  'Every round takes all competitors in turn, so that other work of the machine meets all alike; each competitor gave the ' +
  "right bytes before it was timed. Absolute numbers are this machine's; what carries over are the ratios, which are " +
  'always those of medians.';
