// Goal: reading scales with the threads that serve: a byte costs little more processor time with eight than with one,
// and none waits for another.
// Method: eight clients read past the page cache from mounts with one to eight threads; the kernel says how long each
// thread ran, and strace what it waited for.
import { type ChildProcess, spawn } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { ckptfs } from './support/ckptfs.ts';
import { clear, type Encrypted, encryptInto, mountOn, start, until } from './support/mounts.ts';
import { describeIf, systemTest } from './support/requirements.ts';

const CLIENTS = 8;
const SIZE = 256 << 20;
const BLOCK = 128 << 10;
const REQUESTS = SIZE / BLOCK;
const ROUNDS = 5;
const NUMBERS_OF_THREADS = [1, 2, 4, 8];

describeIf(['root', 'fuse'], 'threads that serve one mount', () => {
  const base = fs.mkdtempSync(join(tmpdir(), 'ckptfs-threads-'));
  const mountPoint = (workers: number): string => join(base, `mnt-${workers}`);
  let encrypted: Encrypted;

  beforeAll(() => {
    fs.mkdirSync(join(base, 'source'));
    fs.writeFileSync(join(base, 'source', 'pages-1.img'), randomFillSync(Buffer.alloc(SIZE)));
    encrypted = encryptInto(base, join(base, 'source'));
  });
  afterEach(() => {
    for (const workers of NUMBERS_OF_THREADS) clear(mountPoint(workers));
  });
  afterAll(() => fs.rmSync(base, { recursive: true }));

  /** Reads the file once, an eighth by each client. */
  async function readAll(workers: number): Promise<void> {
    const file = join(mountPoint(workers), 'pages-1.img');
    const part = REQUESTS / CLIENTS;
    const ends = [...Array(CLIENTS).keys()].map((client) => {
      const which = ['iflag=direct', `bs=${BLOCK}`, `count=${part}`, `skip=${client * part}`];
      return ended(start(join(base, `output-${client}`), 'dd', `if=${file}`, 'of=/dev/null', 'status=none', ...which));
    });
    expect(await Promise.all(ends)).toEqual(Array(CLIENTS).fill(0));
  }

  /** Mounts, and reads once, so that all threads serve. */
  async function mounted(workers: number): Promise<number> {
    const { pid } = mountOn(mountPoint(workers), encrypted, '--workers', `${workers}`);
    await readAll(workers);
    return pid;
  }

  systemTest([], 'share the work, at little more processor time for a byte', async () => {
    const pids = new Map<number, number>();
    for (const workers of NUMBERS_OF_THREADS) pids.set(workers, await mounted(workers));
    const costs = new Map<number, number>();
    const shares: number[] = [];
    // By turns, so that whatever else the machine does meets them all.
    for (let round = 0; round < ROUNDS; round++) {
      for (const [workers, pid] of pids) {
        const before = runTimes(pid);
        await readAll(workers);
        const spent = [...runTimes(pid)].map(([thread, time]) => time - (before.get(thread) ?? 0));
        const serving = spent.sort((a, b) => b - a).slice(0, workers);
        costs.set(workers, Math.min(costs.get(workers) ?? Infinity, sum(serving)));
        const [most = 1, least = 0] = serving;
        if (workers === 2) shares.push(least / most);
      }
    }
    // More threads than processors do not all get something to do.
    expect(Math.max(...shares)).toBeGreaterThan(0.05);
    for (const workers of NUMBERS_OF_THREADS) ckptfs('umount', mountPoint(workers));
    const alone = costs.get(1) ?? 0;
    // More threads cost more switches, and caches of the processor that several share.
    for (const [workers, cost] of costs) expect(cost / alone, `${workers} threads`).toBeLessThan(1.6);
  });

  systemTest(['strace'], 'wait for requests, and never for each other', async () => {
    const pid = await mounted(4);
    const before = runTimes(pid);
    const trace = join(base, 'trace');
    const strace = spawn('strace', ['-f', '-p', `${pid}`, '-e', 'trace=futex', '-o', trace], { stdio: 'ignore' });
    let spent: Map<number, number>;
    try {
      await until('strace has all threads', () => [...before.keys()].every(isTraced));
      await readAll(4);
      spent = new Map([...runTimes(pid)].map(([thread, time]) => [thread, time - (before.get(thread) ?? 0)]));
      strace.kill('SIGINT');
      await ended(strace);
    } finally {
      strace.kill('SIGKILL');
    }
    // V8 compiles on threads of its own, which do wait for each other, and run little.
    const most = Math.max(...spent.values());
    const isServing = (thread: number): boolean => (spent.get(thread) ?? 0) > most / 4;
    const waits = fs
      .readFileSync(trace, 'utf8')
      .split('\n')
      .filter((line) => line.includes('FUTEX_WAIT'));
    expect(waits.filter((line) => isServing(Number.parseInt(line, 10))).length).toBeLessThan(REQUESTS / 100);
    ckptfs('umount', mountPoint(4));
  });
});

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

function ended(process: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => process.once('exit', resolve));
}

/** Returns how many nanoseconds each thread of a process has run. */
function runTimes(pid: number): Map<number, number> {
  const threads = fs.readdirSync(`/proc/${pid}/task`);
  return new Map(
    threads.map((thread) => {
      const [ran = ''] = fs.readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ');
      return [Number(thread), Number(ran)];
    }),
  );
}

function isTraced(thread: number): boolean {
  try {
    return !/^TracerPid:\t0$/m.test(fs.readFileSync(`/proc/${thread}/status`, 'utf8'));
  } catch {
    return true;
  }
}
