import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { endOf } from './children.ts';
import { inTime, PATIENCE } from './patience.ts';
import { toolEnvironment } from './requirements.ts';

/** What a finished command left; `status` is null where a signal ended it. */
export interface CommandResult {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * A private pid and mount namespace whose init reaps orphans and ends, with everything in it, at {@link close} or when
 * the test process dies: a process dumped in one and restored in another never meets a pid that is taken.
 */
export interface Namespace {
  /** Runs a program inside to its end. */
  run(program: string, ...args: readonly string[]): CommandResult;
  /** Starts a program inside, in a session of its own with /dev/null as stdio; returns its pid as seen inside. */
  launch(program: string, ...args: readonly string[]): number;
  /** Starts a program inside that finds `directory`, which need not be there inside, as {@link handedDirectory}. */
  start(directory: string, program: string, ...args: readonly string[]): ChildProcess;
  /** Kills everything inside, drops the namespace's mounts and waits until its init is gone. */
  close(): Promise<void>;
}

/** See {@link Namespace.start}. */
export const handedDirectory = '/proc/self/fd/3';

// Descriptors inherited from the process that started the tests may be on mounts that CRIU cannot see: a dump would
// fail.
const closeInherited = 'for fd in $(ls /proc/self/fd); do if ((fd > 2)); then exec {fd}>&-; fi; done';

// A bash that waits in "read" still reaps every child handed to it, and ends when the test's end of the pipe closes.
const init = `${closeInherited} 2>/dev/null; cd /; eval "$1"; echo ready; read -r _`;

const launcher = `${closeInherited}; cd /; setsid "$@" </dev/null >/dev/null 2>&1 & echo $!`;

async function firstLine(child: ChildProcess): Promise<string> {
  const output = child.stdout;
  if (output === null) throw new Error('the namespace has no output');
  for await (const data of output) {
    const text: string = String(data);
    if (text.includes('\n')) return text.slice(0, text.indexOf('\n'));
  }
  throw new Error('the namespace ended before it was ready');
}

/**
 * Makes a namespace.
 *
 * @param options.hideFuse unmounts FUSE file systems inside (only there): one that is visible makes a dump fail
 */
export async function openNamespace(options: { hideFuse?: boolean } = {}): Promise<Namespace> {
  const prepare = options.hideFuse ? 'umount --lazy --all --types fuse,fuse.ckptfs 2>/dev/null' : ':';
  const flags = ['--pid', '--mount', '--fork', '--kill-child', '--mount-proc'];
  const outer = spawn('unshare', [...flags, 'bash', '-c', init, 'init', prepare], {
    env: toolEnvironment,
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  if ((await inTime('the start of a namespace', firstLine(outer))) !== 'ready')
    throw new Error('the namespace did not start');
  const initPid = readFileSync(`/proc/${outer.pid}/task/${outer.pid}/children`, 'utf8').trim();

  const inside = ['--target', initPid, '--pid', '--mount', '--'];

  const run = (program: string, ...args: readonly string[]): CommandResult => {
    const result = spawnSync('nsenter', [...inside, program, ...args], {
      env: toolEnvironment,
      encoding: 'utf8',
      maxBuffer: 64 << 20,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: PATIENCE,
    });
    return { status: result.status, stdout: result.stdout, stderr: result.stderr };
  };

  return {
    run,
    launch(program, ...args) {
      const result = run('bash', '-c', launcher, 'launcher', program, ...args);
      const pid = Number(result.stdout);
      if (result.status !== 0 || !Number.isInteger(pid)) throw new Error(`${program} did not start: ${result.stderr}`);
      return pid;
    },
    start(directory, ...command) {
      const fd = openSync(directory, 'r');
      try {
        return spawn('nsenter', [...inside, ...command], {
          env: toolEnvironment,
          stdio: ['ignore', 'ignore', 'ignore', fd],
        });
      } finally {
        closeSync(fd);
      }
    },
    async close() {
      outer.stdin?.end();
      outer.stdout?.destroy();
      await endOf(outer);
    },
  };
}
