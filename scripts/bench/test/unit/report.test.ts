import { describe, expect, test } from 'vitest';
import { judgedRun, withResults, withRoomFor } from '../../page.ts';
import { historyTable, resultsPage, scenarioTable, targetTable } from '../../report.ts';
import { groups } from '../../scenarios/all.ts';
import { pageSection, summaryTable } from '../../summary.ts';
import { judge, targets } from '../../targets.ts';
import { doubtsInWords, inWords } from '../../words.ts';
import { runOf, scenarioOf } from './results.ts';

const reading = scenarioOf({ gocryptfs: [5e8, 4e8, 6e8], ckptfs: [1e9], 'plain directory': [4e9] });

describe('a table', () => {
  test('has the fastest first, the range, and speeds relative to ours', () => {
    expect(scenarioTable(reading).split('\n')).toEqual([
      '|  | median | least to greatest | speed against ckptfs |',
      '| --- | ---: | ---: | ---: |',
      '| plain directory | 4,000 MB/s | 4,000 to 4,000 | 4.00 × |',
      '| ckptfs | 1,000 MB/s | 1,000 to 1,000 | 1.00 × |',
      '| gocryptfs | 500 MB/s | 400 to 600 | 0.50 × |',
    ]);
  });
  test('of times has the shortest first', () => {
    const lines = scenarioTable(scenarioOf({ age: [3], ckptfs: [1.5] }, { unit: 'seconds', better: 'lower' })).split(
      '\n',
    );
    expect(lines.slice(2)).toEqual(['| ckptfs | 1.5 s | 1.5 to 1.5 | 1.00 × |', '| age | 3 s | 3 to 3 | 0.50 × |']);
  });
  test('of memory tells how much more, in the order given', () => {
    const memory = { unit: 'bytes', better: 'lower', order: 'given', baseline: 'small' } as const;
    const lines = scenarioTable(scenarioOf({ large: [2 ** 21], small: [2 ** 20] }, memory)).split('\n');
    expect(lines[0]).toContain('times as much as small');
    expect(lines[2]).toBe('| large | 2 MiB | 2 to 2 | 2.00 × |');
  });
});

describe('the summary', () => {
  const rowsIn = (...scenarios: Parameters<typeof runOf>[0]) => summaryTable(runOf(scenarios)).split('\n').slice(2);

  test('has ckptfs, its rivals, and how many times as fast as gocryptfs it is', () => {
    expect(rowsIn(reading)).toEqual(['| Reading 1 GiB | 1,000 MB/s | 500 MB/s |  | 4,000 MB/s |  | 2.00 × |']);
  });
  test('finds age where it takes part before or after a step of its own', () => {
    const times = { ckptfs: [1], 'age, decrypted first': [4] };
    const restoring = scenarioOf(times, { id: 'restore-one', title: 'Restoring', unit: 'seconds', better: 'lower' });
    expect(rowsIn(restoring)).toEqual(['| Restoring | 1 s |  |  |  | 4 s |  |']);
  });
  test('takes one size of a series, and names it', () => {
    const values = { 'ckptfs, 10 MiB': [1], 'ckptfs, 1 GiB': [0.2], 'gocryptfs, 1 GiB': [0.1] };
    const series = scenarioOf(values, {
      id: 'growth-first-byte',
      title: 'Mounting, by size of the image',
      unit: 'seconds',
      better: 'lower',
      order: 'given',
      baseline: 'ckptfs, 1 GiB',
    });
    expect(rowsIn(series)).toEqual(['| Mounting, 1 GiB | 0.2 s | 0.1 s |  |  |  | 0.50 × |']);
  });
});

test('tells in words which competitors are slower, alike and faster', () => {
  const scenario = scenarioOf({ ckptfs: [100], age: [50], gpg: [102], openssl: [200] });
  expect(inWords(scenario)).toBe(
    'ckptfs is 2 times as fast as age; it is about as fast as gpg; it takes 2 times as long as openssl.',
  );
  expect(inWords({ ...scenario, order: 'given' })).toBe('');
});

describe('targets', () => {
  const verdict = (claim: string, ...scenarios: Parameters<typeof runOf>[0]) =>
    judge(runOf(scenarios), targets).find(({ target }) => target.claim === claim);

  test('are met from the bound on', () => {
    const claim = 'sequential reading, times as fast as gocryptfs';
    expect(verdict(claim, scenarioOf({ ckptfs: [17], gocryptfs: [10] }))).toMatchObject({ measured: 1.7, met: true });
    expect(verdict(claim, scenarioOf({ ckptfs: [16], gocryptfs: [10] }))).toMatchObject({ measured: 1.6, met: false });
    expect(verdict(claim)).toMatchObject({ measured: undefined, met: undefined });
  });
  test('take the fastest of those that decrypt first', () => {
    const times = { ckptfs: [1], 'age, decrypted first': [4], 'openssl, decrypted first': [2] };
    const scenario = scenarioOf(times, { id: 'restore-one', unit: 'seconds', better: 'lower' });
    const claim = 'restoring one process, times as fast as the fastest way that decrypts first';
    expect(verdict(claim, scenario)).toMatchObject({ measured: 2, met: true });
  });
  test('of a dump are at most so much longer than plain, and at least so much faster than others', () => {
    const times = { ckptfs: [1.2], 'plain directory': [1], gocryptfs: [1.8], 'age, dumped first': [3] };
    const scenario = scenarioOf(times, { id: 'write-dump', group: 'writing', unit: 'seconds', better: 'lower' });
    const about = (peer: string) => verdict(`dumping one process, times as ${peer}`, scenario);
    expect(about('long as with a plain directory')).toMatchObject({ measured: 1.2, met: true });
    expect(about('fast as gocryptfs')).toMatchObject({ measured: 1.8 / 1.2, met: false });
    expect(about('fast as age, dumped first')).toMatchObject({ measured: 3 / 1.2, met: true });
  });
  test('compare memory over all image sizes, and only ours', () => {
    const memory = {
      'ckptfs, 10 MiB': [100],
      'ckptfs, 1 GiB': [160],
      'ckptfs, 20 GiB': [120],
      'gocryptfs, 1 GiB': [1],
    };
    const scenario = scenarioOf(memory, { id: 'growth-memory', unit: 'bytes', better: 'lower', order: 'given' });
    const claim = 'peak memory of the daemon, greatest over least of all image sizes';
    expect(verdict(claim, scenario)).toMatchObject({ measured: 1.6, met: false });
  });
  test('each has a line of its own', () => {
    expect(new Set(targets.map(({ claim }) => claim)).size).toBe(targets.length);
    expect(targetTable(runOf([]), targets).split('\n')).toHaveLength(targets.length + 2);
    expect(targetTable(runOf([]), targets)).toContain('not measured');
  });
});

describe('the run that is judged', () => {
  const some = runOf([reading]);
  const most = runOf(
    ['restore-one', 'restore-one-all', 'restore-4', 'random-1', 'random-4', 'random-16', 'write-dump'].map((id) =>
      scenarioOf(
        { ckptfs: [1], 'ckptfs, lazy-pages': [1], 'ckptfs (io_uring)': [1], 'plain directory': [1], gocryptfs: [1] },
        { id },
      ),
    ),
  );
  test('is the newest that measured most targets', () => {
    expect(judgedRun([some, most, some])).toBe(most);
  });
  test('is one that measured some where there is no other, and never a look', () => {
    const quick = { ...most, quick: true };
    expect(judgedRun([some, quick])).toBe(some);
    expect(judgedRun([quick, runOf([])])).toBeUndefined();
  });
  test('is named with its doubts', () => {
    const doubted = { ...reading, unsteady: [{ round: 1, cost: 'firstTouch', factor: 2 }] as const };
    expect(doubtsInWords(runOf([doubted, reading]))).toBe(
      'In 1 of 10 rounds a cost of the machine moved by more than 1.5 ×.',
    );
    expect(doubtsInWords(runOf([reading]))).toBe('');
  });
});

describe('the page', () => {
  const page =
    'mine\n<!-- results, dear faults: written by `npm run bench` -->\nold\n<!-- end of results, dear faults -->\nmine too\n';
  test('keeps what people wrote', () => {
    const changed = withResults(page, 'dear faults', 'new');
    expect(changed).not.toContain('old');
    expect(changed).toMatch(/^mine\n.*new.*\nmine too\n$/s);
    expect(withResults(changed, 'dear faults', 'new')).toBe(changed);
  });
  test('gets room for another kind of machine beside the first one, once', () => {
    const both = withRoomFor(page, 'cheap faults');
    expect(both).toMatch(/<!-- end of results, dear faults -->\n\n<!-- results, cheap .*\n<!-- end .*\nmine too\n$/);
    expect(withRoomFor(both, 'cheap faults')).toBe(both);
    expect(withRoomFor('# New\n', 'dear faults')).toMatch(/^# New\n\n<!-- results, dear/);
  });
  test('without marks is left alone', () => expect(() => withResults('mine', 'dear faults', 'new')).toThrow('lacks'));
  test('of all results has a plot and a table for each scenario, the targets, and what was left out', () => {
    const run = runOf([reading], { skipped: ['age is not here'] });
    const text = resultsPage(run, [run], groups, (id) => `plots/${id}.svg`);
    expect(text).toContain('### Reading 1 GiB\n\n![plot](plots/sequential-cached.svg)');
    expect(text).toContain(scenarioTable(reading));
    expect(text).toContain(targetTable(run, targets));
    expect(text).toContain('Left out: age is not here');
    expect(text).not.toContain('not to be quoted');
    expect(resultsPage({ ...run, quick: true }, [run], groups, String)).toContain('not to be quoted');
  });
  test('for users begins with the results, has plots beside words, and no targets', () => {
    const run = runOf([reading], { skipped: ['age is not here'] });
    const text = pageSection(run, undefined, groups);
    expect(text).toMatch(/^## Machines with cheap faults\n.*\n### Results\n\n\| {2}\| ckptfs \| gocryptfs \|/s);
    expect(text).toMatch(
      /<img src="performance\/cheap-faults\/sequential-cached.svg"[^|]*\| \*\*Reading 1 GiB\.\*\* ckptfs is 2 times as fast/,
    );
    expect(text).toContain('Left out: age is not here');
    expect(text).not.toContain('missed');
    expect(text.split('\n').filter((line) => line.length > 120 && !line.startsWith('|'))).toEqual([]);
    expect(pageSection({ ...run, quick: true }, undefined, groups)).toContain('not to be quoted');
  });
  test('tells of earlier runs, the newest first', () => {
    const earlier = runOf([scenarioOf({ ckptfs: [1], gocryptfs: [2] })], { date: '2025-01-01T00:00:00.000Z' });
    const lines = historyTable([earlier, runOf([reading])])
      .split('\n')
      .slice(2);
    expect(lines.map((line) => line.split(' | ').slice(0, 4).join(' '))).toEqual([
      '| 2026-01-02 abcdef0123 2 cores 2.00 ×',
      '| 2025-01-01 abcdef0123 2 cores 0.50 ×',
    ]);
  });
});
