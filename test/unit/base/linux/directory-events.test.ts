// Goal: everything after which an archive may be whole is told, and nothing is told of what happened before.
// Method: each event alone, with a timer that would say that it was not told.
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Directory } from '../../../../src/base/linux/directory.ts';
import { DirectoryEvents } from '../../../../src/base/linux/directory-events.ts';

const FOR_EVER = 600_000;
const never = new AbortController().signal;
let base: string;
let path: string;
let events: DirectoryEvents;
const at = (name: string): string => join(path, name);

beforeEach(() => {
  base = fs.mkdtempSync(join(tmpdir(), 'ckptfs-events-'));
  path = join(base, 'd');
  fs.mkdirSync(path);
  fs.writeFileSync(at('old'), '');
  fs.writeFileSync(join(base, 'outside'), '');
  const directory = Directory.open(path);
  events = new DirectoryEvents(directory);
  directory.close();
});
afterEach(async () => {
  await events.close();
  fs.rmSync(base, { recursive: true });
});

test.each([
  ['a file that is made', () => fs.mkdirSync(at('new'))],
  ['a file that is moved in', () => fs.renameSync(join(base, 'outside'), at('new'))],
  ['a further name', () => fs.linkSync(join(base, 'outside'), at('new'))],
  ['other rights', () => fs.chmodSync(at('old'), 0o600)],
  ['the end of the directory', () => fs.rmSync(path, { recursive: true })],
  ['another place of the directory', () => fs.renameSync(path, join(base, 'e'))],
])('%s is told', async (_, happen) => {
  const told = events.next(never, FOR_EVER);
  happen();
  await told;
  // Once only.
  await events.next(never, 1);
});

test('is told when a writer closes a file, not before', async () => {
  const fd = fs.openSync(at('old'), 'w');
  fs.writeSync(fd, 'text');
  const settled: string[] = [];
  const told = events.next(never, FOR_EVER).then(() => settled.push('told'));
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(settled).toEqual([]);
  fs.closeSync(fd);
  await told;
});

test('a signal ends the waiting, also one that came before', async () => {
  const controller = new AbortController();
  const waited = events.next(controller.signal, FOR_EVER);
  controller.abort();
  await waited;
  await events.next(controller.signal, FOR_EVER);
});
