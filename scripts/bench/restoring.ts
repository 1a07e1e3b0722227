import { once } from 'node:events';
import fs from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { bash, patience, start } from '../lib/commands.ts';
import type { Bench, Dataset } from './bench.ts';

/** Inherited descriptors may be of files that criu cannot see. */
const closeInherited = 'for fd in $(ls /proc/self/fd); do if ((fd > 2 && fd < 255)); then exec {fd}>&-; fi; done; cd /';

/** Restored processes get their old pids, which the processes that decrypt and restore must not have. */
const firstPid = 1000;

const namespace = ['unshare', '--pid', '--mount', '--fork', '--kill-child', '--mount-proc'] as const;

/** The checkpoint of a tree of processes. */
export interface Checkpoint extends Dataset {
  readonly processes: number;
  /** Pid of the parent, in its namespace. */
  readonly pid: number;
  /** Where the processes say how they find their memory. */
  readonly state: string;
  /** How long `criu dump` took. */
  readonly seconds: number;
}

/**
 * Starts a tree of processes in a pid namespace of its own and dumps it, which ends it.
 * @param path where criu writes the image files
 * @throws Error when criu fails
 */
export async function checkpoint(
  bench: Bench,
  name: string,
  processes: number,
  kib: number,
  path: string = bench.newDirectory(name),
): Promise<Checkpoint> {
  const state = bench.newDirectory(`${name}-state`);
  const program = await bench.compiled('process-tree');
  const script = `${closeInherited}; rm -f "$2/ready"
    echo ${firstPid} >/proc/sys/kernel/ns_last_pid
    setsid "$1" "$2" "$3" "$4" </dev/null >/dev/null 2>&1 & pid=$!
    until [ -e "$2/ready" ]; do sleep 0.05; kill -0 $pid; done
    began=$EPOCHREALTIME
    criu dump --tree $pid --images-dir "$5" --work-dir "$2" -o dump.log || { grep Error "$2/dump.log" >&2; exit 1; }
    echo "$pid $began $EPOCHREALTIME"`;
  const command = bash(script, program, state, `${processes}`, `${kib}`, path);
  const child = start([...namespace, ...command], patience);
  const output = createInterface(child.stdout ?? process.stdin);
  let said: number[] = [];
  output.on('line', (line) => {
    said = line.split(' ').map(Number);
  });
  let errors = '';
  child.stderr?.on('data', (data) => {
    errors += String(data);
  });
  await once(child, 'close');
  const [pid = 0, began = 0, done = 0] = said;
  if (!(pid > 0)) throw new Error(`criu dump: ${errors.trim().split('\n').at(-1)}`);
  return { name, path, processes, pid, state, seconds: done - began };
}

/** A tree of processes that was restored and waits. */
export interface Restored {
  /** Seconds from the start of the restore, or of its preparation, until criu says that the processes run. */
  readonly seconds: number;
  /** @throws Error unless every process finds its memory as it was */
  check(): Promise<void>;
  /** Kills all of them. */
  end(): Promise<void>;
}

/**
 * Restores a checkpoint in a pid namespace of its own.
 * @param images where criu reads the image files
 * @param before a bash command that has to come first and counts, such as decrypting to `images`
 * @throws Error with criu's own words when it fails
 */
export async function restore(
  checkpoint: Checkpoint,
  images: string,
  before: readonly string[] = [],
): Promise<Restored> {
  const { pid, processes, state } = checkpoint;
  const script = `${closeInherited}; images=$1 state=$2 pid=$3; shift 3
    began=$EPOCHREALTIME
    if (($#)); then "$@"; fi
    criu restore --restore-detached --images-dir "$images" --work-dir "$state" -o restore.log </dev/null >/dev/null 2>&1 ||
      { grep Error "$state/restore.log" >&2; exit 1; }
    echo "$began $EPOCHREALTIME"
    while read -r _; do kill -USR1 "$pid"; done`;
  const command = bash(script, images, state, `${pid}`, ...before);
  const child = start([...namespace, ...command], { ...patience, stdio: ['pipe', 'pipe', 'pipe'] });
  const closed = once(child, 'close');
  let errors = '';
  child.stderr?.on('data', (data) => {
    errors += String(data);
  });
  const line = await new Promise<string>((resolve) => {
    createInterface(child.stdout ?? process.stdin)
      .once('line', resolve)
      .once('close', () => resolve(''));
  });
  const [began = Number.NaN, done = Number.NaN] = line.split(' ').map(Number);
  const end = async (): Promise<void> => {
    child.stdin?.end();
    await closed;
  };
  if (Number.isNaN(done)) {
    await end();
    throw new Error(`criu restore: ${errors.trim().split('\n').slice(-2).join(' | ')}`);
  }
  return {
    seconds: done - began,
    async check() {
      const reports = Array.from({ length: processes }, (_, index) => join(state, `checked-${index}`));
      for (const report of reports) fs.rmSync(report, { force: true });
      child.stdin?.write('check\n');
      const deadline = Date.now() + 60_000;
      for (const report of reports) {
        while (!fs.existsSync(report)) {
          if (Date.now() > deadline) throw new Error('restored processes do not answer');
          await sleep(10);
        }
        if (fs.readFileSync(report, 'utf8') !== 'ok\n') throw new Error('the memory of a restored process is damaged');
      }
    },
    end,
  };
}
