import fs from 'node:fs';
import { join } from 'node:path';
import { plot } from './plot.ts';
import { resultsSection } from './report.ts';
import { isFull, type RunRecord } from './results.ts';
import { groups } from './scenarios/all.ts';

const marks = { begin: '<!-- results: written by `npm run bench` -->', end: '<!-- end of results -->' };

const newPage = `# Performance

How fast ckptfs is beside what could be used instead. \`npm run bench\`, as root, does this run again on any Debian or Ubuntu
and writes this page; \`npm run bench -- --help\` tells more.

${marks.begin}
${marks.end}
`;

function historyFile(documents: string): string {
  return join(documents, 'performance', 'history.jsonl');
}

/** Appends a run to `performance/history.jsonl`. */
export function addToHistory(documents: string, run: RunRecord): void {
  fs.mkdirSync(join(documents, 'performance'), { recursive: true });
  fs.appendFileSync(historyFile(documents), `${JSON.stringify(run)}\n`);
}

function readHistory(documents: string): RunRecord[] {
  const lines = fs.readFileSync(historyFile(documents), 'utf8').split('\n');
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as RunRecord);
}

/**
 * Replaces what stands between the marks and leaves the rest, which people write.
 * @throws Error where the page has no marks
 */
export function withResults(page: string, results: string): string {
  const begin = page.indexOf(marks.begin);
  const end = page.indexOf(marks.end);
  if (begin < 0 || end < begin) throw new Error(`performance.md lacks the lines ${marks.begin} and ${marks.end}`);
  return `${page.slice(0, begin)}${marks.begin}\n\n${results}\n\n${page.slice(end)}`;
}

/**
 * Writes performance.md and its pictures from the newest full run; from the newest of any kind where there is no full one.
 * @throws Error when the history is empty
 */
export function writePage(documents: string): void {
  const history = readHistory(documents);
  const run = history.findLast(isFull) ?? history.at(-1);
  if (run === undefined) throw new Error('there is no run to report');
  const pictures = join(documents, 'performance');
  for (const name of fs.readdirSync(pictures)) if (name.endsWith('.svg')) fs.rmSync(join(pictures, name));
  for (const scenario of run.scenarios) {
    fs.writeFileSync(join(pictures, `${scenario.id}.svg`), plot(scenario, run.rounds));
  }
  const file = join(documents, 'performance.md');
  const page = fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : newPage;
  fs.writeFileSync(file, withResults(page, resultsSection(run, history, groups)));
}
