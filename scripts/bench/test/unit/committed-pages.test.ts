// The committed pages show the reported run of the committed history: docs/performance.md is what the generator makes
// of it, and the figures in the README are its medians, row by row.
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { ordinaryOutput, reportedRun, withResults } from '../../page.ts';
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

test('docs/performance.md is what the generator writes', () => {
  const page = readFileSync(`${ordinaryOutput.documents}/performance.md`, 'utf8');
  expect(withResults(page, pageSection(reportedRun(ordinaryOutput.results), groups))).toBe(page);
});

test('the README has the figures of the reported run', () => {
  const readme = readFileSync(new URL('../../../../README.md', import.meta.url), 'utf8');
  const run = reportedRun(ordinaryOutput.results);
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
