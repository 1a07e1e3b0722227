import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { Deadline } from '../../base/deadline.ts';
import { CkptfsError, ioError } from '../../base/errors.ts';
import { withoutInheritance } from '../../base/linux/descriptors.ts';

/**
 * Whether a criu could dump and restore a process. `single-steps`: only with CRIU_FAULT=130, without which criu waits
 * for breakpoints that some virtual machines never deliver.
 */
export type CriuOutcome =
  | { readonly works: true; readonly by: 'itself' | 'single-steps' }
  | { readonly works: false; readonly reason: string };

/**
 * Dumps and restores a sleeping process, in pid and mount namespaces of its own and with a tmpfs for its memory, which
 * all end with the shell. The process sleeps for some seconds only: where a dump waits for a breakpoint that never
 * comes, its end ends the dump as well.
 */
const SCRIPT = `
criu=$1 images=$2
mount -t tmpfs -o mode=0700 tmpfs "$images" || exit
cd /
setsid sleep 10 </dev/null >/dev/null 2>&1 &
until read -r _ _ _ _ _ session _ <"/proc/$!/stat" && [ "$session" = $! ]; do sleep 0.01; done
"$criu" dump --tree $! --images-dir "$images" --log-file dump.log || { cat "$images/dump.log" 2>/dev/null; exit 1; }
wait $!
"$criu" restore --restore-detached --images-dir "$images" --log-file restore.log || { cat "$images/restore.log" 2>/dev/null; exit 1; }
kill -0 $!`;

/** The limit for everything: twice what a criu needs that fails because its process has ended. */
const TRIAL_MILLISECONDS = 20_000;
/** When criu has worked by single steps: how many times as long it may take without them, and how long at least. */
const PATIENCE = 4;
const MIN_PATIENCE_MILLISECONDS = 2_000;
const MAX_OUTPUT_CHARACTERS = 1 << 20;
const MAX_REASONS = 3;

/**
 * Dumps and restores a process with a criu, as root, without and with CRIU_FAULT=130, both at the same time. Leaves
 * nothing on the host.
 * @param signal ends the trial at once
 * @throws CkptfsError `interrupted`, `io`
 */
export async function tryCriu(program: string, signal: AbortSignal): Promise<CriuOutcome> {
  const began = performance.now();
  const deadline = Deadline.after(TRIAL_MILLISECONDS);
  const itself = new Attempt(program, {}, signal);
  const stepping = new Attempt(program, { CRIU_FAULT: '130' }, signal);
  try {
    await deadline.wait(Promise.race([itself.end, stepping.end]));
    if (stepping.works) {
      const patience = Math.max(MIN_PATIENCE_MILLISECONDS, PATIENCE * (performance.now() - began));
      await deadline.orAfter(patience).wait(itself.end);
    } else if (!itself.works) {
      await deadline.wait(Promise.all([itself.end, stepping.end]));
    }
  } finally {
    for (const attempt of [itself, stepping]) await attempt.close();
  }
  if (signal.aborted) throw new CkptfsError('interrupted', 'the trial of criu was interrupted');
  if (itself.works) return { works: true, by: 'itself' };
  if (stepping.works) return { works: true, by: 'single-steps' };
  return { works: false, reason: itself.failure ?? `it did not end within ${TRIAL_MILLISECONDS / 1000} seconds` };
}

/** One dump and restore, in a process of its own. */
class Attempt {
  /** Resolves when the attempt has succeeded or failed. */
  readonly end: Promise<void>;
  /** Why it failed, once it has. */
  failure: string | undefined;
  works = false;
  readonly #directory: string;
  readonly #child: ChildProcess;
  readonly #exit: Promise<void>;

  constructor(program: string, environment: Readonly<Record<string, string>>, signal: AbortSignal) {
    this.#directory = temporaryDirectory();
    const { CRIU_FAULT: _, ...inherited } = process.env;
    const namespaces = ['--pid', '--mount', '--fork', '--kill-child', '--mount-proc'];
    this.#child = withoutInheritance(() =>
      spawn('unshare', [...namespaces, 'sh', '-c', SCRIPT, 'sh', program, this.#directory], {
        cwd: '/',
        env: { ...inherited, ...environment, LC_ALL: 'C' },
        stdio: ['ignore', 'pipe', 'pipe'],
        signal,
        killSignal: 'SIGKILL',
      }),
    );
    let output = '';
    const collect = (text: string): void => {
      output = (output + text).slice(-MAX_OUTPUT_CHARACTERS);
    };
    for (const stream of [this.#child.stdout, this.#child.stderr]) stream?.setEncoding('utf8').on('data', collect);
    this.#exit = new Promise((resolve) => {
      for (const event of ['exit', 'error']) this.#child.once(event, () => resolve());
    });
    this.end = new Promise((resolve) => {
      this.#child.on('error', ({ message }) => {
        this.failure ??= `unshare, which is to give it namespaces of its own, cannot be run: ${message}`;
        resolve();
      });
      this.#child.on('close', (exitCode) => {
        if (exitCode === 0) this.works = true;
        else this.failure ??= reasonIn(output);
        resolve();
      });
    });
  }

  /** Kills what still runs: every process in the namespaces dies with the process that made them. */
  async close(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exit;
    for (const stream of [this.#child.stdout, this.#child.stderr]) stream?.destroy();
    rmdirSync(this.#directory);
  }
}

function temporaryDirectory(): string {
  try {
    return mkdtempSync(join(tmpdir(), 'ckptfs-doctor-'));
  } catch (cause) {
    throw ioError('make a directory in', tmpdir(), cause);
  }
}

/** Returns the first errors of criu's log, without times; where it has none, the last line that was printed. */
export function reasonIn(output: string): string {
  const lines = output.split('\n').filter((line) => line.trim() !== '');
  // CRIU always tries to raise that limit, and goes on where it may not.
  const errors = lines.filter((line) => line.includes('Error') && !line.includes('setup RLIMIT_NOFILE for self'));
  const reasons = errors.slice(0, MAX_REASONS).map((line) => line.replace(/^\([0-9.]*\) */, ''));
  return reasons.join('; ') || lines.at(-1)?.trim() || 'it gives no reason';
}
