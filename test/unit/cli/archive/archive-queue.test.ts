// Goal: what fails is said once and tried again at the right time, and does not stop the others.
// Method: a key file that comes and goes, and a clock that the test sets.
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { pathToFileURL } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { Directory } from '../../../../src/base/linux/directory.ts';
import * as programs from '../../../../src/base/program-url.ts';
import { ArchiveQueue } from '../../../../src/cli/archive/archive-queue.ts';
import { TakingPlace } from '../../../../src/library/take-archive.ts';
import { WatchedDirectory } from '../../../../src/library/watched-directory.ts';
import { Log } from '../../../../src/serve/daemon/log.ts';
import { archive, member } from '../../../support/archives.ts';
import { type Bundled, bundled } from '../../../support/bundled.ts';

vi.mock('../../../../src/base/program-url.ts', { spy: true });

const MINUTE = 60_000;
const never = new AbortController().signal;
const contents = archive(member({ name: 'pages.img' }, 'secret'));
let worker: Bundled;
let base: string;
let place: TakingPlace;
let queue: ArchiveQueue;
let fd: number;
/** Milliseconds. */
let now: number;
const at = (name: string): string => join(base, name);
const lines = (): string[] => fs.readFileSync(at('log'), 'utf8').split('\n').slice(0, -1);

beforeAll(async () => {
  worker = await bundled(join(import.meta.dirname, '../../../../src/programs/image-worker.ts'));
});
afterAll(() => worker.remove());

beforeEach(() => {
  vi.mocked(programs.programUrl).mockReturnValue(pathToFileURL(worker.path));
  now = 1_000_000;
  vi.spyOn(performance, 'now').mockImplementation(() => now);
  base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-queue-')));
  fs.mkdirSync(at('archives'));
  fs.writeFileSync(at('archives/a.tar'), contents);
  fd = fs.openSync(at('log'), 'a');
  place = TakingPlace.open(at('images'));
  queue = new ArchiveQueue(WatchedDirectory.at(at('archives')), place, new Log(undefined, fd), {
    keyFile: [at('key')],
    suite: undefined,
    cipher: undefined,
    chunkSize: undefined,
    compress: undefined,
    skipSpecial: false,
    sign: undefined,
    signCert: undefined,
    signPassphraseFile: undefined,
    quiet: false,
    debug: false,
  });
});
afterEach(() => {
  place.close();
  fs.closeSync(fd);
  fs.rmSync(base, { recursive: true });
});

function giveKey(): void {
  fs.writeFileSync(at('key'), 'ab'.repeat(32), { mode: 0o600 });
}

test('what may be mended elsewhere is tried again after a minute, then two', async () => {
  await queue.takeAll(never);
  expect(lines()).toEqual([
    expect.stringContaining(`error: ${at('archives/a.tar')} stays in clear: cannot read key file`),
  ]);
  expect(queue.failures).toMatchObject([{ code: 'bad-key-file' }]);
  now += MINUTE - 1;
  giveKey();
  await queue.takeAll(never);
  expect(fs.existsSync(at('archives/a.tar'))).toBe(true);
  fs.rmSync(at('key'));
  now += 1;
  await queue.takeAll(never);
  now += 2 * MINUTE - 1;
  giveKey();
  await queue.takeAll(never);
  expect(fs.existsSync(at('archives/a.tar'))).toBe(true);
  now += 1;
  await queue.takeAll(never);
  expect(fs.existsSync(at('archives/a.tar'))).toBe(false);
  expect(queue.failures).toEqual([]);
  expect(queue.summary).toBe(`watching ${at('archives')}: 1 archive taken`);
});

test('what is wrong with an archive itself is tried again when it changes, and does not stop the others', async () => {
  giveKey();
  fs.writeFileSync(at('archives/0.tar'), 'no archive');
  await queue.takeAll(never);
  expect(fs.readdirSync(at('archives'))).toEqual(['0.tar']);
  expect(queue.summary).toContain('1 archive taken, 1 left in clear');
  const before = lines();
  now += 100 * MINUTE;
  await queue.takeAll(never);
  expect(lines()).toEqual(before);
  fs.writeFileSync(at('archives/0.tar'), contents);
  await queue.takeAll(never);
  expect([fs.readdirSync(at('archives')), queue.failures]).toEqual([[], []]);
});

test('what a process writes is no failure, and is looked at again', async () => {
  giveKey();
  const writer = fs.openSync(at('archives/a.tar'), 'a');
  await queue.takeAll(never);
  expect(queue.failures).toEqual([]);
  expect(lines()).toEqual([expect.stringContaining('a.tar is still being written')]);
  fs.closeSync(writer);
  now += MINUTE;
  await queue.takeAll(never);
  expect(fs.readdirSync(at('archives'))).toEqual([]);
});

test('what cannot be removed is encrypted once, and has its name', async () => {
  giveKey();
  const unlink = vi.spyOn(Directory.prototype, 'unlink').mockImplementation(function (this: Directory, name) {
    if (String(name).endsWith('.tar')) throw Object.assign(new Error('EPERM'), { code: 'EPERM' });
    fs.unlinkSync(join(this.path(), String(name)));
  });
  for (const count of [1, 2]) {
    await queue.takeAll(never);
    expect(queue.failures).toMatchObject([{ code: 'io', data: { errno: 'EPERM' } }]);
    expect([fs.readdirSync(at('archives')), fs.readdirSync(at('images'))], `time ${count}`).toEqual([
      ['a.tar'],
      ['.ckptfs-watch', 'a'],
    ]);
    now += 100 * MINUTE;
  }
  unlink.mockRestore();
});

test('what cannot even be looked at does not stop the others', async () => {
  giveKey();
  fs.writeFileSync(at('archives/0.tar'), contents);
  const lstat = Directory.prototype.lstat;
  const denied = vi.spyOn(Directory.prototype, 'lstat').mockImplementation(function (this: Directory, name) {
    if (String(name) === '0.tar') throw Object.assign(new Error('EACCES'), { code: 'EACCES' });
    return lstat.call(this, name);
  });
  for (const count of [1, 2]) {
    await queue.takeAll(never);
    expect(
      lines().filter((line) => line.includes('0.tar: permission denied; it stays')),
      `time ${count}`,
    ).toHaveLength(1);
  }
  expect(fs.readdirSync(at('archives'))).toEqual(['0.tar']);
  denied.mockRestore();
  now += MINUTE;
  await queue.takeAll(never);
  expect([fs.readdirSync(at('archives')), queue.failures]).toEqual([[], []]);
});

test('what is removed is forgotten', async () => {
  await queue.takeAll(never);
  fs.rmSync(at('archives/a.tar'));
  await queue.takeAll(never);
  expect(queue.failures).toEqual([]);
});

test('a signal ends it before the next archive', async () => {
  giveKey();
  await expect(queue.takeAll(AbortSignal.abort())).rejects.toMatchObject({ code: 'interrupted' });
  expect(fs.readdirSync(at('archives'))).toEqual(['a.tar']);
});
