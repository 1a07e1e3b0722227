// Goal: the daemon's first thread answers until much was read; then serving threads take over and lose no request.
// Method: real mounts; threads are counted in /proc, and readers are busy while the threads start.
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect } from 'vitest';
import { SERVED_BEFORE_THREADS } from '../../src/base/tuning.ts';
import { endOf } from './support/children.ts';
import { ckptfs } from './support/ckptfs.ts';
import { makeGroup, removeGroup } from './support/control-groups.ts';
import {
  clear,
  type Encrypted,
  encryptInto,
  isAlive,
  logOf,
  type Mounted,
  mountNew,
  mountOn,
  start,
  statusOf,
  until,
} from './support/mounts.ts';
import { runProgram } from './support/programs.ts';
import { describeIf, PIDS_GROUPS, systemTest } from './support/requirements.ts';

const WORKERS = 3;
/** More than the first thread serves alone. */
const content = Buffer.alloc(SERVED_BEFORE_THREADS + 5_000_000, Buffer.from(Array.from({ length: 251 }, (_, i) => i)));
const LITTLE = 1_000_000;

/** The number of threads of a process. */
function threadsOf({ pid }: Mounted): number {
  return fs.readdirSync(`/proc/${pid}/task`).length;
}

describeIf(['root', 'fuse'], 'the first thread of a daemon', () => {
  const base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-first-thread-')));
  const mountPoint = join(base, 'mnt');
  const file = join(mountPoint, 'pages-1.img');
  let encrypted: Encrypted;

  beforeAll(() => {
    fs.mkdirSync(join(base, 'source'));
    fs.writeFileSync(join(base, 'source', 'pages-1.img'), content);
    encrypted = encryptInto(base, join(base, 'source'));
  });
  afterEach(() => [mountPoint, join(base, 'new', 'mnt')].forEach(clear));
  afterAll(() => fs.rmSync(base, { recursive: true }));

  /** Has the kernel forget what it has of the file. */
  const forget = (): void => void runProgram('dd', `if=${file}`, 'iflag=nocache', 'count=0', 'status=none');

  // Over io_uring all threads start at once.
  const options = ['--transport', 'kernel', '--workers', String(WORKERS)];
  const mount = (): Mounted => mountOn(mountPoint, encrypted, ...options);

  systemTest([], 'is the only one that serves until much was read, and hands over then', async () => {
    const mounted = mount();
    const before = threadsOf(mounted);
    expect(fs.statSync(file).size).toBe(content.length);
    expect(fs.readdirSync(mountPoint)).toEqual(['pages-1.img']);
    expect(runProgram('head', '-c', String(LITTLE), file)).toBe(content.toString('utf8', 0, LITTLE));
    // It is the first thread that answers, so it has come to the end of what follows a read.
    expect(statusOf(mountPoint)?.daemon?.counters.bytesServed).toBeGreaterThanOrEqual(LITTLE);
    expect(threadsOf(mounted)).toBe(before);
    expect(fs.readFileSync(file).equals(content)).toBe(true);
    await until('the serving threads run', () => threadsOf(mounted) >= before + WORKERS);
    forget();
    expect(fs.readFileSync(file).equals(content)).toBe(true);
    const status = statusOf(mountPoint);
    expect(status?.daemon).toMatchObject({ workers: WORKERS });
    // Nothing that either of them served is forgotten.
    expect(status?.daemon?.counters.bytesServed).toBeGreaterThanOrEqual(content.length);
    ckptfs('umount', mountPoint);
    await until('the daemon has ended', () => !isAlive(mounted.pid));
    expect(logOf(mounted).join('\n')).not.toMatch(/error|warning/);
  });

  systemTest([], 'loses no request of readers that are busy while the others take over', async () => {
    const mounted = mount();
    const readers = Array.from({ length: 8 }, (_, at) =>
      start(
        join(base, `reader-${at}`),
        'sh',
        '-c',
        `for i in 1 2; do dd if=${file} bs=4k skip=$((i * ${at * 7 + 3})) count=200 iflag=nocache; cat ${file}; done 2>/dev/null | md5sum`,
      ),
    );
    await Promise.all(readers.map(endOf));
    const sums = readers.map((_, at) => fs.readFileSync(join(base, `reader-${at}`), 'utf8'));
    const expected = readers.map((_, at) =>
      runProgram(
        'sh',
        '-c',
        `for i in 1 2; do dd if=${base}/source/pages-1.img bs=4k skip=$((i * ${at * 7 + 3})) count=200; cat ${base}/source/pages-1.img; done 2>/dev/null | md5sum`,
      ),
    );
    expect(sums).toEqual(expected);
    expect(logOf(mounted).join('\n')).not.toMatch(/error|warning/);
  });

  systemTest([], 'ends a mount from which nothing was read', async () => {
    const mounted = mount();
    process.kill(mounted.pid, 'SIGTERM');
    await until('the daemon has ended', () => !isAlive(mounted.pid));
    expect(logOf(mounted).at(-1)).toContain('keys and cached plaintext are wiped');
  });

  systemTest([], 'goes on where no serving thread can open the image', async () => {
    fs.mkdirSync(join(base, 'new'));
    const [other, writing] = mountNew(join(base, 'new'), join(base, 'new', 'mnt'));
    fs.writeFileSync(join(base, 'new', 'mnt', 'pages-1.img'), content);
    ckptfs('umount', writing.mountPoint);
    const first = fs.readFileSync(join(other.image, 'manifest'));
    const again = mountOn(writing.mountPoint, other, '--write');
    fs.writeFileSync(join(base, 'new', 'mnt', 'more.img'), 'more');
    ckptfs('umount', again.mountPoint);
    const mounted = mountOn(mountPoint, other, ...options);
    // An older manifest, which is authentic too, comes between.
    fs.writeFileSync(join(other.image, 'manifest'), first);
    expect(fs.readFileSync(file).equals(content)).toBe(true);
    await until('a thread has failed', () => /did not start/.test(logOf(mounted).join('\n')));
    forget();
    expect(fs.readFileSync(join(mountPoint, 'more.img'), 'utf8')).toBe('more');
    expect(fs.readFileSync(file).equals(content)).toBe(true);
    ckptfs('umount', mountPoint);
    await until('the daemon has ended', () => !isAlive(mounted.pid));
  });

  describe('where the system has too few threads for the others', () => {
    let group: string;
    beforeEach(() => {
      if (PIDS_GROUPS !== undefined) group = makeGroup(PIDS_GROUPS);
    });
    afterEach(async () => {
      if (PIDS_GROUPS === undefined) return;
      [mountPoint, join(base, 'new', 'mnt')].forEach(clear);
      await removeGroup(group);
    });

    for (const free of [0, 1, 2]) {
      systemTest(['pidsGroups'], `goes on, and ends like any mount, with ${free} left`, async () => {
        const mounted = mount();
        fs.writeFileSync(join(group, 'cgroup.procs'), String(mounted.pid));
        fs.writeFileSync(join(group, 'pids.max'), String(threadsOf(mounted) + free));
        expect(fs.readFileSync(file).equals(content)).toBe(true);
        await until('it is in the log', () => /one thread alone serves the mount/.test(logOf(mounted).join('\n')));
        expect(statusOf(mountPoint)?.daemon).toMatchObject({ workers: 1 });
        forget();
        expect(fs.readFileSync(file).equals(content)).toBe(true);
        ckptfs('umount', mountPoint);
        await until('the daemon has ended', () => !isAlive(mounted.pid));
        expect(logOf(mounted).at(-1)).toContain('keys and cached plaintext are wiped');
      });
    }
  });
});
