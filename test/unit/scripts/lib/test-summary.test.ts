// The last lines of scripts/test: vitest itself runs small suites that fail in every way, and the summary names what
// failed.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';

const fromRoot = (path: string) => fileURLToPath(new URL(`../../../../${path}`, import.meta.url));
const vitest = fromRoot('node_modules/vitest/vitest.mjs');
const summaryScript = fromRoot('scripts/lib/test-summary.js');

let base: string;
let steps: string;

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'ckptfs-summary-'));
  steps = join(base, 'steps');
  mkdirSync(steps);
});

afterEach(() => rmSync(base, { recursive: true }));

function leave(step: string, status: string | number, log: string): void {
  writeFileSync(join(steps, `${step}.status`), `${status}\n`);
  writeFileSync(join(steps, `${step}.log`), log);
}

/** Runs a suite of these test files as scripts/test does. */
function suite(step: string, files: Record<string, string>, globalSetup = 'export default () => {};'): void {
  const root = mkdtempSync(join(base, 'suite-'));
  for (const [name, source] of Object.entries(files)) writeFileSync(join(root, name), source);
  writeFileSync(join(root, 'set-up.mjs'), globalSetup);
  writeFileSync(
    join(root, 'vitest.config.mjs'),
    `export default { test: { globals: true, globalSetup: 'set-up.mjs' } };`,
  );
  const output = `--outputFile.json=${join(steps, step)}.json`;
  const args = [vitest, 'run', '--root', root, '--no-isolate', '--reporter=default', '--reporter=json', output];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  leave(step, status ?? 'started', stdout + stderr);
}

function summary(ci = 'true'): { status: number | null; lines: string[] } {
  const env = { ...process.env, CI: ci };
  const { status, stdout } = spawnSync(process.execPath, [summaryScript, steps], { cwd: base, env, encoding: 'utf8' });
  const lines = stdout
    .trimEnd()
    .replaceAll(/suite-\w+\//g, '')
    .split('\n');
  return { status, lines };
}

test('what passed is counted over all steps, and a test that was skipped fails the run on CI alone', () => {
  leave('build', 0, '');
  suite('one', { 'a.test.mjs': `test('a', () => {}); test.skip('b: cannot run on this machine, no loop', () => {});` });
  const b = 'skipped: b: cannot run on this machine, no loop';
  expect(summary()).toEqual({ status: 0, lines: [b, '1 passed, 0 failed, 1 skipped'] });
  suite('two', { 'a.test.mjs': `test('a', () => {}); test('b', () => {}); test.skip('c', () => {});` });
  const lines = [b, 'skipped: c', '3 passed, 0 failed, 2 skipped'];
  expect([summary(), summary('')]).toEqual([
    { status: 1, lines },
    { status: 0, lines },
  ]);
});

test('a suite that ends well and leaves no report is a failure', () => {
  suite('one', { 'a.test.mjs': `test('a', () => {});` });
  leave('two', 0, 'nothing to run');
  writeFileSync(join(steps, 'two.json'), '');
  const { status, lines } = summary();
  expect([status, lines.at(-1)]).toEqual([1, '1 passed, 1 failed, 0 skipped']);
  expect(lines.at(-2)).toMatch(/^FAILED: two: its report cannot be read/);
});

test('failed tests, files that cannot be loaded and failed hooks are named', () => {
  suite('units', {
    'a.test.mjs': `describe('sums', () => test('add up', () => { throw new Error('one\\ntwo'); })); test('b', () => {});`,
    'b.test.mjs': `throw new Error('cannot be loaded');`,
    'c.test.mjs': `describe('x', () => { afterAll(() => { throw new Error('broke'); }); test('a', () => {}); });`,
  });
  const { status, lines } = summary();
  expect(status).toBe(1);
  expect(lines.slice(0, -1).sort()).toEqual([
    'FAILED: units: a.test.mjs > sums add up: Error: one',
    'FAILED: units: b.test.mjs: cannot be loaded',
    'FAILED: units: c.test.mjs: outside its tests',
  ]);
  expect(lines.at(-1)).toBe('2 passed, 3 failed, 0 skipped');
});

test('a global set-up that fails is told in the words of vitest', () => {
  suite('start', { 'a.test.mjs': `test('a', () => {});` }, `export default () => { throw new Error('no start'); };`);
  const { status, lines } = summary();
  expect(status).toBe(1);
  expect(lines[0]).toBe('FAILED: start: ended with code 1, outside its tests');
  expect(lines).toContain('  Error: no start');
  expect(lines.at(-1)).toBe('0 passed, 1 failed, 0 skipped');
});

test('a check at the end that fails is told beside the tests that failed', () => {
  const check = `export default () => () => { process.exitCode = 1; throw new Error('left behind:\\nmount /x'); };`;
  suite('end', { 'a.test.mjs': `test('a', () => { throw new Error('one'); });` }, check);
  const { status, lines } = summary();
  expect(status).toBe(1);
  expect(lines.slice(0, 2)).toEqual([
    'FAILED: end: a.test.mjs > a: Error: one',
    'FAILED: end: ended with code 1, outside its tests',
  ]);
  expect(lines).toContain('  error during close Error: left behind:');
  expect(lines).toContain('  mount /x');
  expect(lines.at(-1)).toBe('0 passed, 2 failed, 0 skipped');
});

test('a step that failed, did not come to its end or left half a report is a failure', () => {
  leave('lint', 1, 'checked\nline 7: wrong\n');
  leave('dead', 'started', 'began\n');
  leave('cut', 0, '');
  writeFileSync(join(steps, 'cut.json'), '{"testResults":[{');
  const { status, lines } = summary();
  expect(status).toBe(1);
  expect(lines.shift()).toMatch(/^FAILED: cut: its report cannot be read: /);
  expect(lines).toEqual([
    'FAILED: dead: did not come to its end',
    '  began',
    'FAILED: lint: ended with code 1, outside its tests',
    '  checked',
    '  line 7: wrong',
    '0 passed, 3 failed, 0 skipped',
  ]);
});
