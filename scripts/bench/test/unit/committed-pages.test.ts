// The committed pages show the reported runs of the committed history: docs/performance.md is what the generator makes
// of them, and the figures in the README are its medians, row by row.
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { machineKinds } from '../../costs.ts';
import { judgedRun, ordinaryOutput, readHistory, reportedRun, withResults } from '../../page.ts';
import { rowsOf } from '../../plot.ts';
import { medianOf } from '../../results.ts';
import { groups } from '../../scenarios/all.ts';
import { pageSection } from '../../summary.ts';
import { formatValue, scaleFor } from '../../units.ts';

/** The scenario and the competitors that a row of the README is about: ckptfs, gocryptfs, age. */
const rows: Readonly<Record<string, readonly [id: string, ...competitors: string[]]>> = {
  'reading 1 GiB in sequence': ['sequential-cached', 'ckptfs', 'gocryptfs'],
  'random reads of 4 KiB, 1 reader': ['random-1', 'ckptfs', 'gocryptfs'],
  'random reads of 4 KiB, 4 readers': ['random-4', 'ckptfs', 'gocryptfs'],
  'restoring a process with 1 GiB': ['restore-one', 'ckptfs', 'gocryptfs', 'age, decrypted first'],
  'dumping it': ['write-dump', 'ckptfs', 'gocryptfs', 'age, dumped first'],
  'mounting and reading 4,002 files by tar': ['small-files-tar', 'ckptfs', 'gocryptfs'],
  'writing 4,000 files of 4 KiB': ['write-small', 'ckptfs', 'gocryptfs'],
  'mounting 1 GiB and reading the first byte': ['growth-first-byte', 'ckptfs, 1 GiB', 'gocryptfs, 1 GiB'],
  'peak memory of the daemon, 1 GiB image': ['growth-memory', 'ckptfs, 1 GiB', 'gocryptfs, 1 GiB'],
  'encrypting 1 GiB': ['encrypt', 'ckptfs', 'gocryptfs', 'age'],
};

/** The README quotes one kind of machine. */
const quoted = 'cheap faults';

test.for(machineKinds)('docs/performance.md has what the generator writes about machines with %s', (kind) => {
  const page = readFileSync(`${ordinaryOutput.documents}/performance.md`, 'utf8');
  const history = readHistory(ordinaryOutput.results, kind);
  const run = reportedRun(history);
  if (run === undefined) expect(page).not.toContain(`results, ${kind}`);
  else expect(withResults(page, kind, pageSection(run, judgedRun(history), groups))).toBe(page);
});

test.for(machineKinds)('every run in the history of machines with %s was made on one', (kind) => {
  expect(readHistory(ordinaryOutput.results, kind).filter((run) => run.kind !== kind)).toEqual([]);
});

test('the README has the figures of the reported run', () => {
  const readme = readFileSync(new URL('../../../../README.md', import.meta.url), 'utf8');
  const run = reportedRun(readHistory(ordinaryOutput.results, quoted));
  if (run === undefined) throw new Error('there is no run to quote');
  const [, table = ''] = /^All figures are from one run .*?\n\n((?:\|[^\n]*\n)+)/ms.exec(readme) ?? [];
  const cells = table.split('\n').flatMap((line) => {
    const [, label = '', ...values] = line.split('|').map((cell) => cell.trim());
    return /\d/.test(values.join('')) ? [{ label, values }] : [];
  });
  expect(cells.map(({ label }) => label)).toEqual(Object.keys(rows));
  for (const { label, values } of cells) {
    const [id = '', ...competitors] = rows[label] ?? [];
    const scenario = run.scenarios.find((result) => result.id === id);
    if (scenario === undefined) throw new Error(`the run has no ${id}`);
    const scale = scaleFor(scenario.unit, Math.max(...rowsOf(scenario).map(({ median }) => median)));
    for (const [column, competitor] of competitors.entries()) {
      const median = medianOf(scenario, competitor) ?? Number.NaN;
      expect(values[column]?.replace(/, .*/, ''), `${label}: ${competitor}`).toBe(formatValue(median, scale));
    }
  }
});
