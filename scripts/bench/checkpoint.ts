import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { bash, patience, start } from '../lib/commands.ts';
import type { Bench, Dataset } from './bench.ts';

/** Inherited descriptors may be of files that criu cannot see. */
export const closeInherited =
  'for fd in $(ls /proc/self/fd); do if ((fd > 2 && fd < 255)); then exec {fd}>&-; fi; done; cd /';

/** Restored processes get their old pids, which the processes that decrypt and restore must not have. */
const firstPid = 1000;

/** A place of their own for the processes of one dump or restore: they are gone with it. */
export const namespace = ['unshare', '--pid', '--mount', '--fork', '--kill-child', '--mount-proc'] as const;

/** The checkpoint of a tree of processes. */
export interface Checkpoint extends Dataset {
  readonly processes: number;
  /** Pid of the parent, in its namespace. */
  readonly pid: number;
  /** Where the processes say that they are ready, and how they find their memory. */
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
  bench: Pick<Bench, 'newDirectory' | 'compiled'>,
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
