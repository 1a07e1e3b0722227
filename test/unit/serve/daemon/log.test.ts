import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { CkptfsError } from '../../../../src/base/errors.ts';
import { Log } from '../../../../src/serve/daemon/log.ts';

let directory: string;
let file: string;
let fd: number;

beforeEach(() => {
  directory = fs.mkdtempSync(join(tmpdir(), 'ckptfs-log-'));
  file = join(directory, 'log');
  fd = fs.openSync(file, 'a+', 0o600);
});
afterEach(() => {
  vi.useRealTimers();
  fs.closeSync(fd);
  fs.rmSync(directory, { recursive: true });
});

const lines = (path = file): string[] => fs.readFileSync(path, 'utf8').split('\n').slice(0, -1);

test('an event is one line with time, pid and level', () => {
  const log = new Log(file, fd);
  log.info('first');
  log.error('several\n    lines\r\nof text');
  expect(lines()).toHaveLength(2);
  expect(lines()[0]).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z ckptfs\[\d+\]: info: first$/);
  expect(lines()[1]).toMatch(/: error: several \| lines \| of text$/);
});

test('an event is an object, or has the priority that journald reads, where that is asked for', () => {
  for (const format of ['json', 'journal'] as const) {
    const log = new Log(file, fd, () => undefined, format);
    log.error('a "quoted"\nline');
    log.warning('second');
    log.info('third');
  }
  const [first = '', ...others] = lines();
  expect(JSON.parse(first)).toEqual({
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
    level: 'error',
    pid: process.pid,
    message: 'a "quoted" | line',
  });
  expect(others.slice(2)).toEqual(['<3>a "quoted" | line', '<4>second', '<6>third']);
});

test('a line that repeats is written once a minute', () => {
  vi.useFakeTimers();
  const log = new Log(file, fd);
  for (let i = 0; i < 5; i++) log.error('again');
  log.warning('again');
  expect(lines()).toHaveLength(2);
  vi.advanceTimersByTime(61_000);
  log.error('again');
  expect(lines()).toHaveLength(3);
});

test('a log remembers a bounded amount of text, however many lines there are', () => {
  vi.useFakeTimers();
  const log = new Log(undefined, fd);
  log.error('first');
  for (let i = 0; i < 2_000; i++) log.error(`${i} ${'x'.repeat(1000)}`);
  const { length } = lines();
  log.error('first');
  log.error('first');
  expect(lines()).toHaveLength(length + 1);
});

test('a log stays below 1 MiB, and one older part is kept', () => {
  const log = new Log(file, fd);
  for (let i = 0; i < 2500; i++) log.info(`${i} ${'x'.repeat(1000)}`);
  expect(fs.statSync(file).size).toBeLessThan(1.1 * (1 << 20));
  expect(fs.statSync(`${file}.old`).size).toBeLessThan(1.1 * (1 << 20));
  expect(fs.statSync(`${file}.old`).mode & 0o777).toBe(0o600);
  expect(lines().at(-1)).toContain(': 2499 x');
});

test('a link in place of the older part is not followed, and a directory there is no obstacle', () => {
  const victim = join(directory, 'victim');
  fs.writeFileSync(victim, 'precious', { mode: 0o644 });
  fs.symlinkSync(victim, `${file}.old`);
  fs.writeSync(fd, `${'x'.repeat((1 << 20) - 1)}\n`);
  new Log(file, fd).info('next');
  expect(fs.readFileSync(victim, 'utf8')).toBe('precious');
  expect(fs.lstatSync(`${file}.old`)).toMatchObject({ size: 1 << 20, mode: 0o100600 });
  fs.rmSync(`${file}.old`);
  fs.mkdirSync(`${file}.old`);
  fs.writeSync(fd, 'x'.repeat(1 << 20));
  new Log(file, fd).info('last');
  expect(lines()).toHaveLength(1);
  expect(lines()[0]).toMatch(/: last$/);
});

test('an error is one line, with what can be done about it', () => {
  const log = new Log(file, fd, ({ code }) => (code === 'io' ? 'Make room.' : undefined));
  log.failure(new CkptfsError('io', 'no room'));
  log.failure(new CkptfsError('damaged', 'it is damaged'));
  expect(lines().map((line) => line.replace(/^\S+ \S+ /, ''))).toEqual([
    'error: no room. Make room.',
    'error: it is damaged',
  ]);
});

test('a log that cannot be written is no error', () => {
  const closed = fs.openSync('/dev/full', 'w');
  const log = new Log(undefined, closed);
  expect(() => log.info('lost')).not.toThrow();
  fs.closeSync(closed);
});

test('control characters are escaped, as the log may be shown on a terminal', () => {
  new Log(file, fd).error('held by \x1b]0;x\x07\u009b2J \u202e');
  expect(lines()[0]).toMatch(/: error: held by \\x1b\]0;x\\x07\\u\{009b\}2J \\u\{202e\}$/);
});
