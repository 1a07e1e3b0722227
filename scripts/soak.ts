// npm run soak -- [--minutes N] [--directory DIR]: one mount that stays, many that come and go, and readers of every
// kind on both. Ends with 1 when a byte is wrong, when memory or descriptors of the mount that stays grow, or when
// anything is left mounted or running.
import fs from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { bash, type Command, run } from './lib/commands.ts';

const project = join(import.meta.dirname, '..');
const program = join(project, 'bin', 'ckptfs');

const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '30' }, directory: { type: 'string', default: os.tmpdir() } },
});
const minutes = Number(values.minutes);
if (!(minutes > 0)) throw new Error(`--minutes is a number above 0, not ${values.minutes}`);

/**
 * How much more memory the second half of all samples may show than the first: what garbage collection gives back comes
 * in waves.
 */
const GROWTH_ALLOWED = 1.05;
/** The cache of the mount that stays: small, so that its cache is full long before the end. */
const CACHE = '8M';

interface Sample {
  /** KiB. */
  readonly memory: number;
  readonly descriptors: number;
}

function sample(pid: number): Sample {
  const status = fs.readFileSync(`/proc/${pid}/status`, 'utf8');
  const memory = Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]);
  return { memory, descriptors: fs.readdirSync(`/proc/${pid}/fd`).length };
}

function pick<T>(choices: readonly T[]): T {
  return choices[Math.floor(Math.random() * choices.length)] as T;
}

/** What reads a mount, each ending with an error when what it read is wrong. */
function readers(mounted: string, plain: string): readonly Command[] {
  const block = Math.floor(Math.random() * 16_000);
  return [
    bash('diff -r "$1" "$2"', mounted, plain),
    bash('tar -C "$1" -cf - . | tar -C "$2" -df -', mounted, plain),
    bash('cmp "$1"/pages-1.img "$2"/pages-1.img', mounted, plain),
    bash(
      'cmp <(dd if="$1"/pages-1.img bs=4k skip="$3" count=64 iflag=direct status=none) <(dd if="$2"/pages-1.img bs=4k skip="$3" count=64 status=none)',
      mounted,
      plain,
      `${block}`,
    ),
    bash(
      'for i in 1 2 3 4; do grep -c nothing-like-this "$1"/pages-1.img & done; wait; ls -lR "$1" >/dev/null',
      mounted,
    ),
    bash(
      'cp --sparse=always "$1"/sparse.img "$3"; cmp "$3" "$2"/sparse.img; rm "$3"',
      mounted,
      plain,
      `${plain}.${block}`,
    ),
  ];
}

/** Memory of small requests, pages that stay in the kernel and pages that do not. */
async function dropCaches(): Promise<void> {
  await run(...bash('echo 3 >/proc/sys/vm/drop_caches'));
}

async function makeSource(path: string): Promise<void> {
  fs.mkdirSync(join(path, 'many'), { recursive: true });
  await run(...bash('head -c 64M /dev/urandom >"$1"/pages-1.img', path));
  await run(
    ...bash(
      'truncate -s 64M "$1"/sparse.img; head -c 1M /dev/urandom | dd of="$1"/sparse.img bs=4k seek=999 conv=notrunc status=none',
      path,
    ),
  );
  for (let i = 0; i < 2000; i++) fs.writeFileSync(join(path, 'many', `core-${i}.img`), Buffer.alloc(i * 3, i));
}

async function soak(directory: string): Promise<readonly string[]> {
  const [source, image, key, stays] = ['source', 'image', 'key', 'stays'].map((name) => join(directory, name)) as [
    string,
    string,
    string,
    string,
  ];
  await makeSource(source);
  await run(program, 'keygen', '-o', key);
  await run(program, 'encrypt', source, image, '-k', key, '-q');
  const mount = async (mountPoint: string, ...options: readonly string[]): Promise<number> => {
    fs.mkdirSync(mountPoint);
    const log = ['--log-file', join(directory, 'log'), '--json'];
    return JSON.parse(await run(program, 'mount', image, mountPoint, '-k', key, ...log, ...options)).pid;
  };
  const daemon = await mount(stays, '--cache-size', CACHE);
  const samples: Sample[] = [];
  let mounts = 0;
  let reads = 0;
  const end = Date.now() + minutes * 60_000;
  try {
    while (Date.now() < end) {
      const guest = join(directory, `guest-${mounts}`);
      const options = [
        ...['--workers', pick(['1', '2', '4'])],
        ...['--cache-size', pick(['64K', '1M', '64M'])],
        ...pick([[], ['--transport', 'fuse-native']]),
      ];
      await mount(guest, ...options);
      mounts++;
      const commands = [...readers(guest, source), ...readers(stays, source)].filter(() => Math.random() < 0.5);
      await Promise.all(commands.map((command) => run(...command)));
      reads += commands.length;
      await run(program, 'umount', guest);
      fs.rmdirSync(guest);
      await dropCaches();
      samples.push(sample(daemon));
      if (mounts % 50 === 0)
        process.stderr.write(`${mounts} mounts, ${reads} readers, ${JSON.stringify(samples.at(-1))}\n`);
    }
  } finally {
    await run(program, 'umount', stays);
  }
  return judge(samples, mounts, reads, directory);
}

async function judge(
  samples: readonly Sample[],
  mounts: number,
  reads: number,
  directory: string,
): Promise<readonly string[]> {
  const half = Math.floor(samples.length / 2);
  const ratio = (of: (sample: Sample) => number): number =>
    Math.max(...samples.slice(half).map(of)) / Math.max(...samples.slice(0, half).map(of));
  const memory = ratio((one) => one.memory);
  const descriptors = ratio((one) => one.descriptors);
  process.stdout.write(
    `${minutes} minutes, ${mounts} mounts, ${reads} readers; second half against the first: memory ${memory.toFixed(3)}, descriptors ${descriptors.toFixed(3)}\n`,
  );
  const faults: string[] = [];
  if (half < 4) faults.push('too short to say anything');
  if (!(memory <= GROWTH_ALLOWED)) faults.push('memory grows');
  if (!(descriptors <= 1)) faults.push('descriptors grow');
  if (fs.readFileSync('/proc/self/mounts', 'utf8').includes(directory)) faults.push('something is still mounted');
  const left = await stillRunning(directory);
  if (left.length > 0) faults.push(`still running: ${left.join(', ')}`);
  return faults;
}

/** Returns the processes that use a directory, without those that end within seconds, like an unmounted daemon. */
async function stillRunning(directory: string): Promise<string[]> {
  let left: string[] = [];
  for (let attempt = 0; attempt < 50; attempt++) {
    left = fs
      .readdirSync('/proc')
      .filter((pid) => /^\d+$/.test(pid) && Number(pid) !== process.pid && commandLine(pid).includes(directory));
    if (left.length === 0) break;
    await sleep(100);
  }
  return left;
}

function commandLine(pid: string): string {
  try {
    return fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

const directory = fs.mkdtempSync(join(values.directory, 'ckptfs-soak-'));
try {
  const faults = await soak(directory);
  for (const fault of faults) process.stderr.write(`${fault}\n`);
  process.exitCode = faults.length === 0 ? 0 : 1;
} finally {
  fs.rmSync(directory, { recursive: true, force: true });
}
