import { rowsOf } from './plot.ts';
import { type RunRecord, type ScenarioResult, timesBetter } from './results.ts';
import type { Group } from './scenario.ts';
import { judge, type Verdict } from './targets.ts';
import { formatNumber, formatSize, formatValue, scaleFor } from './units.ts';

/** Everything here turns records into Markdown and does nothing else. */

function table(head: readonly string[], rows: readonly (readonly string[])[], numbersFrom = 1): string {
  const rule = head.map((_, column) => (column < numbersFrom ? '---' : '---:'));
  return [head, rule, ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

function times(ratio: number): string {
  return `${ratio >= 10 ? formatNumber(ratio) : ratio.toFixed(2)} ×`;
}

function comparedAs({ unit, baseline }: ScenarioResult): string {
  return unit === 'bytes' ? `times as much as ${baseline}` : `speed against ${baseline}`;
}

/** Median, range, and how each compares with the baseline: as a speed, so that more is always faster. */
export function scenarioTable(scenario: ScenarioResult): string {
  const rows = rowsOf(scenario);
  const scale = scaleFor(scenario.unit, Math.max(...rows.map(({ median }) => median)));
  const cells = rows.map(({ competitor, median, least, greatest }) => {
    const better = timesBetter(scenario, competitor, scenario.baseline);
    const ratio = better !== undefined && scenario.unit === 'bytes' ? 1 / better : better;
    return [
      competitor,
      formatValue(median, scale),
      `${formatNumber(least / scale.divisor)} to ${formatNumber(greatest / scale.divisor)}`,
      ratio === undefined ? '' : times(ratio),
    ];
  });
  return table(['', 'median', 'least to greatest', comparedAs(scenario)], cells);
}

/** `a, b and c`. */
function listed(items: readonly string[]): string {
  return items.length < 2 ? items.join('') : `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`;
}

/** How the baseline stands beside its rivals, as a sentence; empty for a series, which has no rivals. */
export function inWords(scenario: ScenarioResult): string {
  const { baseline, order } = scenario;
  if (order === 'given') return '';
  const rivals = rowsOf(scenario)
    .filter(({ competitor }) => competitor !== baseline)
    .map(({ competitor }) => ({ competitor, ratio: timesBetter(scenario, baseline, competitor) ?? Number.NaN }));
  const alike = rivals.filter(({ ratio }) => Math.abs(ratio - 1) < 0.05).map(({ competitor }) => competitor);
  const slower = rivals.filter(({ ratio }) => ratio >= 1.05);
  const faster = rivals.filter(({ ratio }) => ratio <= 0.95);
  const shares = [
    slower.length > 0 &&
      `is ${listed(slower.map(({ competitor, ratio }) => `${formatNumber(ratio)} times as fast as ${competitor}`))}`,
    alike.length > 0 && `is about as fast as ${listed(alike)}`,
    faster.length > 0 &&
      `takes ${listed(faster.map(({ competitor, ratio }) => `${formatNumber(1 / ratio)} times as long as ${competitor}`))}`,
  ].filter((share) => share !== false);
  return shares.length === 0 ? '' : `${baseline} ${shares.join('; it ')}.`;
}

function bound({ target: { bound, unit } }: Verdict): string {
  return 'atLeast' in bound ? `at least ${bound.atLeast} ${unit}` : `at most ${bound.atMost} ${unit}`;
}

/** What was aimed at and what came out. */
export function targetTable(run: RunRecord): string {
  const rows = judge(run).map((verdict) => {
    const { target, measured, met } = verdict;
    const value = measured === undefined ? 'not measured' : `${formatNumber(measured)} ${target.unit}`;
    return [target.claim, bound(verdict), value, met === undefined ? '' : met ? 'met' : '**missed**'];
  });
  return table(['target', 'aim', 'measured', ''], rows);
}

function groupSection(run: RunRecord, { name, heading, method }: Group): string[] {
  const scenarios = run.scenarios.filter(({ group }) => group === name);
  if (scenarios.length === 0) return [];
  return [
    `### ${heading}`,
    method,
    ...scenarios.flatMap((scenario) => [
      `![${scenario.title}](performance/${scenario.id}.svg)`,
      scenarioTable(scenario),
      ...[inWords(scenario)].filter((words) => words !== ''),
    ]),
  ];
}

function conditions(run: RunRecord): string {
  const { processor, cores, memoryBytes, system, kernel, fileSystem } = run.machine;
  const versions = Object.entries(run.versions).map(([name, version]) => `${name} ${version}`);
  const lines = [
    `- Run: ${run.date.slice(0, 10)}, commit ${run.commit}, ${run.rounds} rounds${run.quick ? ', quick: not to be quoted' : ''}.`,
    `- Machine: ${processor}, ${cores} cores, ${formatSize(memoryBytes)} of memory, ${fileSystem}; ${system}, Linux ${kernel}.`,
    `- Versions: ${versions.join(', ')}.`,
    ...run.skipped.map((line) => `- Left out: ${line.replaceAll('\n', ' ')}`),
  ];
  return lines.join('\n');
}

/** The ratios that tell most, run by run; the newest first. */
export function historyTable(runs: readonly RunRecord[]): string {
  const told = [
    ['sequential-cached', 'gocryptfs'],
    ['random-4', 'gocryptfs'],
    ['restore-one', 'plain directory'],
    ['small-files-tar', 'plain directory'],
    ['write-dump', 'plain directory'],
    ['encrypt', 'openssl'],
  ] as const;
  const head = ['run', 'commit', 'machine', ...told.map(([id, peer]) => `${id} against ${peer}`)];
  const rows = [...runs].reverse().map((run) => [
    `${run.date.slice(0, 10)}${run.quick ? ' (quick)' : ''}`,
    run.commit,
    `${run.machine.cores} cores`,
    ...told.map(([id, peer]) => {
      const scenario = run.scenarios.find((result) => result.id === id);
      const ratio = scenario && timesBetter(scenario, 'ckptfs', peer);
      return ratio === undefined ? '' : times(ratio);
    }),
  ]);
  return table(head, rows, 3);
}

/** The generated part of docs/performance.md. @param history all runs, the oldest first */
export function resultsSection(run: RunRecord, history: readonly RunRecord[], groups: readonly Group[]): string {
  return [
    '## Results',
    conditions(run),
    "Every round takes all competitors in turn, so that what else goes on meets all alike; each competitor gave the right bytes before it was timed. Absolute numbers are this machine's; the ratios, always of medians, are what carries over.",
    '### Targets',
    targetTable(run),
    ...groups.flatMap((group) => groupSection(run, group)),
    '### All runs',
    'How many times as fast ckptfs was; all values are in [history.jsonl](performance/history.jsonl), one run a line.',
    historyTable(history),
  ].join('\n\n');
}
