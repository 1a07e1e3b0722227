// npm run soak:volume -- [--minutes N] [--round SECONDS] [--directory DIR]: databases, git and plain files on one
// writable mount, as root. A round ends with SIGKILL for the daemon or with an unmount, in turn; then the image is
// mounted again, and everything that was told to be durable must be there. Ends with 1 at the first fault, and then
// keeps what there is; or when memory of the daemon or space that nothing uses grows.
import { type ChildProcess, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { WritableMount } from '../test/support/writable-mount.ts';
import { clocked, run, start } from './lib/commands.ts';
import { type Load, volumeLoads } from './lib/volume-loads.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '60' },
    round: { type: 'string', default: '120' },
    directory: { type: 'string', default: os.tmpdir() },
  },
});
const [minutes, round] = [values.minutes, values.round].map(Number) as [number, number];
if (!(minutes > 0 && round > 0)) throw new Error('--minutes and --round are numbers above 0');

const MIB = 1 << 20;
/** Bytes that may be stored besides what is in the files, once all is synced: journal, freed places, tag pages. */
const SPACE_ALLOWED = 160 * MIB;
/** What may be left when all files are removed. */
const REST_ALLOWED = 96 * MIB;
const MEMORY_ALLOWED_KIB = 512 << 10;
const SAMPLE_EVERY_MS = 10_000;

interface Sample {
  /** Bytes that the files of the mount have, and that the image takes. */
  readonly used: number;
  readonly stored: number;
  readonly memoryKib: number;
}

async function diskUsage(directory: string): Promise<number> {
  // Files vanish while they are counted.
  const { stdout } = spawnSync('du', ['-sx', '--block-size=1', directory], { encoding: 'utf8' });
  return Number(stdout.split('\t')[0]);
}

async function sample({ image, mountPoint, daemon }: WritableMount): Promise<Sample> {
  const [used, stored] = [await diskUsage(mountPoint), await diskUsage(image)];
  const status = fs.readFileSync(`/proc/${daemon}/status`, 'utf8');
  return { used, stored, memoryKib: Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) };
}

/** Sends SIGKILL to a process, or to a group of them, that may have ended. */
function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

/** A load that runs. */
class Work {
  readonly load: Load;
  readonly #child: ChildProcess;
  readonly #closed: Promise<void>;
  #last: string | undefined;
  #errors = '';
  lines = 0;

  constructor(load: Load) {
    this.load = load;
    this.#child = start(load.work, { detached: true });
    this.#closed = new Promise((resolve) => this.#child.once('close', () => resolve()));
    if (this.#child.stdout === null || this.#child.stderr === null) throw new Error('a load without output');
    createInterface({ input: this.#child.stdout }).on('line', (line) => {
      this.#last = line;
      this.lines++;
    });
    this.#child.stderr.on('data', (data: Buffer) => {
      this.#errors = (this.#errors + data.toString()).slice(-1000);
    });
  }

  /** Ends it. Resolves with the last thing that it was told to be durable. */
  async end(): Promise<string | undefined> {
    const { pid } = this.#child;
    // All of its group: it may have ended itself.
    if (pid !== undefined) kill(-pid);
    await this.#closed;
    return this.#last;
  }

  /** @throws Error when it has ended by itself */
  check(): void {
    if (this.#child.exitCode === null) return;
    throw new Error(`${this.load.name} ended with ${this.#child.exitCode}: ${this.#errors.trim()}`);
  }
}

/** Ends what works in a directory, such as a server that has a session of its own, and waits for the end. */
async function endServers(directory: string): Promise<void> {
  const pids = fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name) && worksIn(name, directory));
  for (const pid of pids) kill(Number(pid));
  while (pids.some((pid) => fs.existsSync(`/proc/${pid}`))) await sleep(20);
}

function worksIn(pid: string, directory: string): boolean {
  try {
    return fs.readlinkSync(`/proc/${pid}/cwd`).startsWith(directory);
  } catch {
    return false;
  }
}

const total = new Map<string, number>();
const samples: Sample[] = [];
let kills = 0;
let seals = 0;

function say(text: string): void {
  process.stdout.write(`${new Date().toISOString().slice(11, 19)} ${text}\n`);
}

async function workOn(mount: WritableMount, loads: readonly Load[], isKilled: boolean): Promise<Map<Load, string>> {
  const works = loads.map((load) => new Work(load));
  const end = Date.now() + round * 1000;
  while (Date.now() < end) {
    await sleep(Math.min(SAMPLE_EVERY_MS, end - Date.now()));
    for (const work of works) work.check();
    samples.push(await sample(mount));
  }
  if (isKilled) process.kill(mount.daemon, 'SIGKILL');
  const lasts = new Map<Load, string>();
  for (const work of works) {
    const last = await work.end();
    if (last !== undefined) lasts.set(work.load, last);
    total.set(work.load.name, (total.get(work.load.name) ?? 0) + work.lines);
  }
  await endServers(mount.mountPoint);
  if (isKilled) mount.clear();
  return lasts;
}

async function unmounted(mount: WritableMount): Promise<void> {
  await run('sync', '-f', mount.mountPoint);
  const { used, stored } = await sample(mount);
  if (stored - used > SPACE_ALLOWED) throw new Error(`${used} bytes of files take ${stored}`);
  mount.unmount();
  mount.run('verify', '-q');
}

async function soak(mount: WritableMount): Promise<void> {
  const loads = volumeLoads(mount.mountPoint);
  mount.mount('--allow-other', '-o', 'root_mode=0755');
  for (const load of loads) await load.prepare();
  const end = Date.now() + minutes * 60_000;
  for (let rounds = 0; Date.now() < end; rounds++) {
    const isKilled = rounds % 2 === 0;
    say(`round ${rounds + 1}`);
    const lasts = await workOn(mount, loads, isKilled);
    if (isKilled) mount.mount('--allow-other');
    for (const load of loads) {
      const { seconds } = await clocked(() => load.check(lasts.get(load))).catch((error: Error) => {
        throw new Error(`${load.name}: ${error.message}`);
      });
      say(`${load.name} is whole, looked at for ${seconds.toFixed(0)} s`);
    }
    if (isKilled) kills++;
    else {
      await unmounted(mount);
      seals++;
      mount.mount('--allow-other');
    }
    say(
      `${kills} kills, ${seals} seals, ${JSON.stringify(Object.fromEntries(total))}, ${JSON.stringify(samples.at(-1))}`,
    );
  }
  for (const name of fs.readdirSync(mount.mountPoint)) fs.rmSync(join(mount.mountPoint, name), { recursive: true });
  await run('sync', mount.mountPoint);
  await run('sync', mount.mountPoint);
  const { stored } = await sample(mount);
  const peak = Math.max(...samples.map((one) => one.stored));
  const excess = Math.max(...samples.map((one) => one.stored - one.used));
  const memory = Math.max(...samples.map((one) => one.memoryKib));
  say(
    `peak ${peak >> 20} MiB, at most ${excess >> 20} MiB more than in files, ${stored >> 20} MiB when all is removed`,
  );
  say(`memory of the daemon at most ${memory >> 10} MiB`);
  mount.unmount();
  if (stored > REST_ALLOWED) throw new Error('space is not given back');
  if (memory > MEMORY_ALLOWED_KIB) throw new Error('memory grows');
}

const directory = fs.mkdtempSync(join(values.directory, 'ckptfs-volume-'));
fs.chmodSync(directory, 0o755);
const mount = new WritableMount(directory);
try {
  await soak(mount);
  fs.rmSync(directory, { recursive: true });
} catch (error) {
  say(`FAILED ${error instanceof Error ? error.message : String(error)}; what there is stays in ${directory}`);
  process.exitCode = 1;
} finally {
  await endServers(directory);
  mount.discard();
}
process.exit();
