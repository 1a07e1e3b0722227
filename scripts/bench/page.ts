import fs from 'node:fs';
import { join, relative } from 'node:path';
import type { Output } from './options.ts';
import { plot } from './plot.ts';
import { resultsPage } from './report.ts';
import { isFull, type RunRecord } from './results.ts';
import { groups } from './scenarios/all.ts';
import { pageSection, plotsOfThePage } from './summary.ts';

const project = join(import.meta.dirname, '..', '..');

/** Where a whole run leaves its results. */
export const ordinaryOutput: Output = {
  documents: join(project, 'docs'),
  results: join(import.meta.dirname, 'results'),
};

const marks = { begin: '<!-- results: written by `npm run bench` -->', end: '<!-- end of results -->' };

const newPage = `# Performance

${marks.begin}
${marks.end}
`;

function historyFile(results: string): string {
  return join(results, 'history.jsonl');
}

/** Appends a run to the history. */
export function addToHistory({ results }: Output, run: RunRecord): void {
  fs.mkdirSync(results, { recursive: true });
  fs.appendFileSync(historyFile(results), `${JSON.stringify(run)}\n`);
}

function readHistory(results: string): RunRecord[] {
  const lines = fs.readFileSync(historyFile(results), 'utf8').split('\n');
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as RunRecord);
}

/**
 * Replaces what is between the marks and leaves the rest, which people write.
 * @throws Error where the page has no marks
 */
export function withResults(page: string, results: string): string {
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

/**
 * Picks the run that the pages are about: the newest full one, or the newest of any kind where there is no full one.
 * @throws Error when the history is empty
 */
export function reportedRun(results: string): RunRecord {
  const history = readHistory(results);
  const run = history.findLast(isFull) ?? history.at(-1);
  if (run === undefined) throw new Error('there is no run to report');
  return run;
}

/**
 * Writes the pages and their plots.
 * @throws Error when the history is empty
 */
export function writePages({ documents, results }: Output): void {
  const run = reportedRun(results);
  const pictures = join(documents, 'performance');
  const pictureOf = (id: string): string => join(plotsOfThePage.includes(id) ? pictures : results, `${id}.svg`);
  writePlots(run, pictureOf, [pictures, results]);
  const file = join(documents, 'performance.md');
  const page = fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : newPage;
  fs.writeFileSync(file, withResults(page, pageSection(run, groups)));
  const linkOf = (id: string): string => relative(results, pictureOf(id));
  fs.writeFileSync(join(results, 'README.md'), resultsPage(run, readHistory(results), groups, linkOf));
}
