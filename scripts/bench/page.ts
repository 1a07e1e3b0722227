import fs from 'node:fs';
import { join, relative } from 'node:path';
import { folderOf, type MachineKind, machineKinds } from './costs.ts';
import { targetsOf } from './kind-targets.ts';
import type { Output } from './options.ts';
import { plot } from './plot.ts';
import { resultsPage } from './report.ts';
import type { RunRecord } from './results.ts';
import { groups } from './scenarios/all.ts';
import { pageSection, plotsOfThePage } from './summary.ts';
import { judge } from './targets.ts';

const project = join(import.meta.dirname, '..', '..');

/** Where a whole run leaves its results. */
export const ordinaryOutput: Output = {
  documents: join(project, 'docs'),
  results: join(import.meta.dirname, 'results'),
};

/** The lines of docs/performance.md around what is generated about a kind of machine. */
function marksOf(kind: MachineKind): { begin: string; end: string } {
  return {
    begin: `<!-- results, ${kind}: written by \`npm run bench\` -->`,
    end: `<!-- end of results, ${kind} -->`,
  };
}

/** Makes room for a kind of machine: after what is about the other kind, or at the end. */
export function withRoomFor(page: string, kind: MachineKind): string {
  const { begin, end } = marksOf(kind);
  if (page.includes(begin)) return page;
  const room = `\n${begin}\n${end}\n`;
  const others = machineKinds.map((other) => `${marksOf(other).end}\n`).filter((mark) => page.includes(mark));
  const last = others.at(-1);
  return last === undefined ? `${page}${room}` : page.replace(last, `${last}${room}`);
}

function directoryOf(results: string, kind: MachineKind): string {
  return join(results, folderOf(kind));
}

/** Appends a run to the history of its kind of machine. */
export function addToHistory({ results }: Output, run: RunRecord): void {
  const directory = directoryOf(results, run.kind);
  fs.mkdirSync(directory, { recursive: true });
  fs.appendFileSync(join(directory, 'history.jsonl'), `${JSON.stringify(run)}\n`);
}

/** Reads all runs on a kind of machine, the oldest first; there may be none. */
export function readHistory(results: string, kind: MachineKind): RunRecord[] {
  const file = join(directoryOf(results, kind), 'history.jsonl');
  const lines = fs.existsSync(file) ? fs.readFileSync(file, 'utf8').split('\n') : [];
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as RunRecord);
}

/**
 * Replaces what is between the marks of a kind of machine and leaves the rest, which people write.
 * @throws Error where the page has no such marks
 */
export function withResults(page: string, kind: MachineKind, results: string): string {
  const marks = marksOf(kind);
  const begin = page.indexOf(marks.begin);
  const end = page.indexOf(marks.end);
  if (begin < 0 || end < begin) throw new Error(`performance.md lacks the lines ${marks.begin} and ${marks.end}`);
  return `${page.slice(0, begin)}${marks.begin}\n\n${results}\n\n${page.slice(end)}`;
}

/** Writes the plots of a run: those of performance.md beside it, the others beside all results. */
function writePlots(run: RunRecord, pictureOf: (id: string) => string, directories: readonly string[]): void {
  for (const directory of directories) {
    fs.mkdirSync(directory, { recursive: true });
    for (const name of fs.readdirSync(directory)) if (name.endsWith('.svg')) fs.rmSync(join(directory, name));
  }
  for (const scenario of run.scenarios) fs.writeFileSync(pictureOf(scenario.id), plot(scenario, run.rounds));
}

/** Picks the run that the pages are about: the newest whole one, or the newest of any sort where there is none. */
export function reportedRun(history: readonly RunRecord[]): RunRecord | undefined {
  return history.findLast(({ whole }) => whole) ?? history.at(-1);
}

/** Picks the run to judge by the targets: the newest that measured most of them, or else some; none that is a look. */
export function judgedRun(history: readonly RunRecord[]): RunRecord | undefined {
  const shares = history.flatMap((run) => {
    const verdicts = judge(run, targetsOf(run));
    const share = verdicts.filter(({ met }) => met !== undefined).length / verdicts.length;
    return run.quick || share === 0 ? [] : [{ run, share }];
  });
  return (shares.findLast(({ share }) => share >= 0.5) ?? shares.at(-1))?.run;
}

/** Writes the pages about a kind of machine, and their plots, where there is a run on such a machine. */
export function writePages({ documents, results }: Output, kind: MachineKind): void {
  const history = readHistory(results, kind);
  const run = reportedRun(history);
  if (run === undefined) return;
  const directory = directoryOf(results, kind);
  const pictures = join(documents, 'performance', folderOf(kind));
  const pictureOf = (id: string): string => join(plotsOfThePage.includes(id) ? pictures : directory, `${id}.svg`);
  writePlots(run, pictureOf, [pictures, directory]);
  const file = join(documents, 'performance.md');
  const page = withRoomFor(fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : '# Performance\n', kind);
  fs.writeFileSync(file, withResults(page, kind, pageSection(run, judgedRun(history), groups)));
  const linkOf = (id: string): string => relative(directory, pictureOf(id));
  fs.writeFileSync(join(directory, 'README.md'), resultsPage(run, history, groups, linkOf));
}
