import { describeUnsteady } from './costs.ts';
import { targetsOf } from './kind-targets.ts';
import { table, times, wrapped } from './markdown.ts';
import { rowsOf } from './plot.ts';
import { type RunRecord, type ScenarioResult, timesBetter } from './results.ts';
import type { Group } from './scenario.ts';
import { judge, type Target, targets, type Verdict } from './targets.ts';
import { formatNumber, formatValue, scaleFor } from './units.ts';
import { conditionsOf, FAIRNESS, inWords } from './words.ts';

// Turns records into the Markdown of the page of all results.

function comparedAs({ unit, baseline }: ScenarioResult): string {
  return unit === 'bytes' ? `times as much as ${baseline}` : `speed against ${baseline}`;
}

/** Shows median and range, and how each compares with the baseline: as a speed, so that more is always faster. */
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

function bound({ target: { bound, unit } }: Verdict): string {
  return 'atLeast' in bound ? `at least ${bound.atLeast} ${unit}` : `at most ${bound.atMost} ${unit}`;
}

/** Shows what was measured, what was aimed at, and whether that was met. */
export function targetTable(run: RunRecord, judged: readonly Target[]): string {
  const rows = judge(run, judged).map((verdict) => {
    const { target, measured, met } = verdict;
    const value = measured === undefined ? 'not measured' : `${formatNumber(measured)} ${target.unit}`;
    return [target.claim, value, bound(verdict), met === undefined ? '' : met ? 'met' : '**missed**'];
  });
  return table(['', 'measured', 'target', ''], rows);
}

function groupSection(run: RunRecord, { name, heading, method }: Group, plotOf: (id: string) => string): string[] {
  const scenarios = run.scenarios.filter(({ group }) => group === name);
  if (scenarios.length === 0) return [];
  return [
    `## ${heading}`,
    wrapped(method),
    ...scenarios.flatMap((scenario) => [
      `### ${scenario.title}`,
      `![plot](${plotOf(scenario.id)})`,
      scenarioTable(scenario),
      ...[inWords(scenario), describeUnsteady(scenario.unsteady)]
        .filter((words) => words !== '')
        .map((words) => wrapped(words)),
    ]),
  ];
}

/** Shows the ratios that tell most, run by run; the newest first. */
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
    `${run.date.slice(0, 10)}${run.quick ? ' (quick)' : run.whole ? '' : ' (in part)'}`,
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

/**
 * Writes the page of all results, targets and runs, which is for developers.
 * @param history all runs, the oldest first
 * @param plotOf where the plot of a scenario is, for a link from the page
 */
export function resultsPage(
  run: RunRecord,
  history: readonly RunRecord[],
  groups: readonly Group[],
  plotOf: (id: string) => string,
): string {
  return `${[
    `# Results of the benchmark: machines with ${run.kind}`,
    wrapped(
      '`npm run bench` writes this page, docs/performance.md and the plots of both. The values of all runs are in ' +
        '[history.jsonl](history.jsonl), one run a line; [findings.md](../findings.md) says why targets are ' +
        'missed, and what was tried.',
    ),
    conditionsOf(run)
      .map((line) => wrapped(line, '  '))
      .join('\n'),
    wrapped(FAIRNESS),
    `## Targets for machines with ${run.kind}`,
    targetTable(run, targetsOf(run)),
    '## Targets of the first releases',
    targetTable(run, targets),
    '## All runs',
    'How many times as fast ckptfs was:',
    historyTable(history),
    ...groups.flatMap((group) => groupSection(run, group, plotOf)),
  ].join('\n\n')}\n`;
}
