import { folderOf, type MachineKind } from './costs.ts';
import { targetsOf } from './kind-targets.ts';
import { table, times, wrapped } from './markdown.ts';
import { names } from './peers/names.ts';
import { rowsOf } from './plot.ts';
import { targetTable } from './report.ts';
import { medianOf, type RunRecord, type ScenarioResult, timesBetter } from './results.ts';
import type { Group } from './scenario.ts';
import { dumpThenEncrypt } from './scenarios/dump-names.ts';
import { decryptThenRestore } from './scenarios/restore-names.ts';
import { formatValue, scaleFor } from './units.ts';
import { conditionsOf, costsInWords, doubtsInWords, FAIRNESS, inFewWords } from './words.ts';

/** What users compare ckptfs with: the columns of the first table. */
const RIVALS = [names.gocryptfs, names.passthrough, names.plain, names.age] as const;

/** The rows of the first table, by scenario. */
const ROWS = [
  'sequential-cached',
  'random-1',
  'random-4',
  'random-16',
  'random-early',
  'random-late',
  'restore-one',
  'restore-one-all',
  'restore-4',
  'restore-memory',
  'small-files-tar',
  'small-reads-dd',
  'small-reads-tar',
  'write-dump',
  'write-dump-durable',
  'write-sequential',
  'write-small',
  'encrypt',
  'decrypt',
  'first-byte',
  'growth-first-byte',
  'idle-memory',
  'growth-memory',
];

/** The scenarios that the page has a plot of, and what a reader has to know beside it. */
const PLOTS: Readonly<Record<string, string>> = {
  'sequential-cached': '`dd bs=1M` from a fresh mount.',
  'random-4': 'Each block is read once, so that no cache of the mount answers.',
  'restore-one': '`criu restore` until criu says that the process runs. age decrypts to a tmpfs first.',
  'small-files-tar': 'Mounting counts.',
  'write-dump': 'From the start of `criu dump` to its end. age encrypts a plain dump, which stays on the disk.',
  'write-small': 'Small files are packed together.',
  encrypt: 'The command a user types, from its start to its end, into a tmpfs.',
  'growth-first-byte': 'From the start of the command. ckptfs starts Node.js twice.',
  'growth-memory': '`VmHWM` of the daemon. It grows until the cache of 64 MiB is full.',
};

/** The scenarios that docs/performance.md has a plot of. */
export const plotsOfThePage: readonly string[] = Object.keys(PLOTS);

/** The forms in which a rival takes part: itself, after or before a step of its own, or with an image size. */
function formsOf(rival: string, { baseline }: ScenarioResult): string[] {
  return [rival, decryptThenRestore(rival), dumpThenEncrypt(rival), baseline.replace(names.ours, rival)];
}

function participant(scenario: ScenarioResult, rival: string): string | undefined {
  return formsOf(rival, scenario).find((form) => medianOf(scenario, form) !== undefined);
}

function scenariosOf(run: RunRecord, ids: readonly string[]): ScenarioResult[] {
  return ids.flatMap((id) => run.scenarios.find((scenario) => scenario.id === id) ?? []);
}

/** Titles a row of the first table: for a series, with the size that its row is about. */
function titleOf({ title, baseline }: ScenarioResult): string {
  const [, size] = baseline.split(', ');
  return size === undefined ? title : title.replace('by size of the image', size);
}

/** Shows the medians of ckptfs and its rivals, and how ckptfs compares with gocryptfs: above 1, ckptfs is better. */
export function summaryTable(run: RunRecord): string {
  const rows = scenariosOf(run, ROWS).map((scenario) => {
    const scale = scaleFor(scenario.unit, Math.max(...rowsOf(scenario).map(({ median }) => median)));
    const value = (competitor: string | undefined): string => {
      const median = competitor === undefined ? undefined : medianOf(scenario, competitor);
      return median === undefined ? '' : formatValue(median, scale);
    };
    const gocryptfs = participant(scenario, names.gocryptfs);
    const ratio = gocryptfs === undefined ? undefined : timesBetter(scenario, scenario.baseline, gocryptfs);
    const rivals = RIVALS.map((rival) => value(participant(scenario, rival)));
    return [titleOf(scenario), value(scenario.baseline), ...rivals, ratio === undefined ? '' : times(ratio)];
  });
  return table(['', names.ours, ...RIVALS, 'against gocryptfs'], rows);
}

function plotRow(scenario: ScenarioResult, folder: string): string[] {
  const rivals = RIVALS.flatMap((rival) => formsOf(rival, scenario));
  const text = [`**${scenario.title}.**`, inFewWords(scenario, rivals), PLOTS[scenario.id] ?? ''];
  const picture = `<img src="performance/${folder}/${scenario.id}.svg" width="460" alt="${scenario.title}">`;
  return [picture, text.filter((part) => part !== '').join(' ')];
}

/** Lists how the scenarios of the page were measured, by group. */
function methods(scenarios: readonly ScenarioResult[], groups: readonly Group[]): string {
  const shown = groups.filter(({ name }) => scenarios.some(({ group }) => group === name));
  return shown.map(({ heading, method }) => wrapped(`- **${heading}.** ${method}`, '  ')).join('\n');
}

const ABOUT_KINDS: Readonly<Record<MachineKind, string>> = {
  'cheap faults': 'The first touch of a page takes at most 5 µs.',
  'dear faults':
    'The first touch of a page takes more than 5 µs: page faults, system calls and wake-ups go through software.',
};

/** Says when and on what the targets were measured, which may be another run than that of the results. */
function targetText(run: RunRecord): string {
  const when = `Run: ${run.date.slice(0, 10)}, commit ${run.commit}, ${run.rounds} rounds.`;
  return wrapped([when, costsInWords(run), doubtsInWords(run)].join(' ').trimEnd());
}

/**
 * Writes the generated part of docs/performance.md about one kind of machine: the results, and how they came about.
 * @param targetRun the run to judge by the targets for this kind, or undefined where none measured what they need
 */
export function pageSection(run: RunRecord, targetRun: RunRecord | undefined, groups: readonly Group[]): string {
  const plotted = scenariosOf(run, plotsOfThePage);
  return [
    `## Machines with ${run.kind}`,
    ABOUT_KINDS[run.kind],
    ...(targetRun === undefined
      ? []
      : ['### Targets', targetText(targetRun), targetTable(targetRun, targetsOf(targetRun))]),
    '### Results',
    summaryTable(run),
    wrapped(
      'All values are medians. The last column is how many times as fast as gocryptfs ckptfs is, or how many times as ' +
        'small; below 1 gocryptfs is the better one. passthrough_ll is the example of libfuse that only hands on what ' +
        'the file system below it has, without cryptography. A plain directory has neither FUSE nor cryptography.',
    ),
    table(
      ['', ''],
      plotted.map((scenario) => plotRow(scenario, folderOf(run.kind))),
      2,
    ),
    '### How it was measured',
    conditionsOf(run)
      .map((line) => wrapped(line, '  '))
      .join('\n'),
    wrapped(FAIRNESS),
    methods([...plotted, ...scenariosOf(run, ROWS)], groups),
  ].join('\n\n');
}
