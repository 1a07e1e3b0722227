import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as after } from 'node:timers/promises';
import { CkptfsError, ioError } from '../../base/errors.ts';
import { withoutInheritance } from '../../base/linux/descriptors.ts';
import { adoptOrphans, letExit, lookAtTrace, traceExit } from '../../base/linux/exit-trace.ts';
import { settleable } from '../../base/settleable.ts';
import { processesWaitingForMemory } from './waiting-processes.ts';

const LOG = 'lazy-pages.log';
const PID_FILE = 'lazy-pages.pid';
const SOCKET = 'lazy-pages.socket';

/** How often the processes that were killed are looked at until all of them are gone. */
const KILLED_MILLISECONDS = 5;

const ALIVE_MILLISECONDS = 1000;

/** Signals that would end this process while memory is still being brought. */
const WITHSTOOD = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const;

/** Calls the function that starts a process, in the mount namespace that the process is to have. */
export type Starter = (work: () => ChildProcess) => ChildProcess;

/**
 * A `criu lazy-pages` that brings memory to restored processes while they run, held so that no process can go on with
 * memory that was not brought.
 *
 * The kernel fills missing pages with zeros from the moment on that nothing holds their userfaultfd, and that process
 * alone holds it. If it fails (a damaged chunk, a mount that is gone, no memory, a signal), the processes would run on
 * zeros. So it is stopped at its end, while its descriptors are open; those that still wait for memory are killed; only
 * then it goes.
 */
export class LazyPages {
  readonly #pid: number;
  readonly #work: string;
  readonly #ended = settleable<void>();
  readonly #onChild = (): void => this.#look();
  #failure: CkptfsError | undefined;

  private constructor(pid: number, work: string) {
    this.#pid = pid;
    this.#work = work;
    process.on('SIGCHLD', this.#onChild);
    traceExit(pid);
    this.#look();
  }

  /**
   * Starts it. It listens when this returns. This process becomes the parent of orphans among its descendants.
   * @param images the directory of image files
   * @param directory as `--work-dir` of the restore, for socket and log
   * @throws CkptfsError `io` when criu cannot be run; `missing-feature` when it does not start
   */
  static async start(images: string, directory: string, started: Starter): Promise<LazyPages> {
    const work = resolve(directory);
    const pidFile = join(work, PID_FILE);
    rmSync(pidFile, { force: true }); // criu makes no other one
    adoptOrphans();
    const where = ['--images-dir', images, '--work-dir', work, '--log-file', LOG, '--pidfile', pidFile];
    const options = { stdio: 'ignore', detached: true } as const;
    const child = started(() => withoutInheritance(() => spawn('criu', ['lazy-pages', '--daemon', ...where], options)));
    const [exitCode] = await once(child, 'exit').catch((cause: unknown) => {
      throw ioError('run', 'criu', cause);
    });
    if (exitCode !== 0) {
      throw new CkptfsError(
        'missing-feature',
        `criu lazy-pages does not start: ${reasonIn(join(work, LOG)) ?? `exit code ${exitCode}`}`,
        {
          data: { feature: 'userfaultfd' },
        },
      );
    }
    const pid = Number(readFileSync(pidFile, 'latin1'));
    rmSync(pidFile);
    return new LazyPages(pid, work);
  }

  /**
   * Waits until all memory is there; if no process waits for any, it ends at once.
   * @returns an error of code `io` if processes were killed because memory could not be brought
   */
  async end(): Promise<CkptfsError | undefined> {
    const withstand = (): void => undefined;
    // A listener for a signal does not keep Node running, and the daemon of the mount may be gone.
    const alive = setInterval(this.#onChild, ALIVE_MILLISECONDS);
    for (const signal of WITHSTOOD) process.on(signal, withstand);
    try {
      if (processesWaitingForMemory(process.pid).length === 0) process.kill(this.#pid, 'SIGTERM');
      await this.#ended.promise;
    } finally {
      clearInterval(alive);
      for (const signal of WITHSTOOD) process.removeListener(signal, withstand);
      rmSync(join(this.#work, SOCKET), { force: true });
    }
    return this.#failure;
  }

  #look(): void {
    const trace = lookAtTrace(this.#pid);
    if (trace.state === 'gone') {
      process.removeListener('SIGCHLD', this.#onChild);
      this.#ended.resolve();
    } else if (trace.state === 'exiting') {
      if (trace.exitCode === 0) letExit(this.#pid);
      else void this.#killThenLetExit(trace.exitCode);
    }
  }

  /** Kills all that wait for memory, and waits until they are gone. Until then their memory stays what it is. */
  async #killThenLetExit(exitCode: number): Promise<void> {
    const killed = new Set<number>();
    for (;;) {
      const waiting = processesWaitingForMemory(process.pid);
      if (waiting.length === 0) break;
      for (const pid of waiting) if (kill(pid)) killed.add(pid);
      await after(KILLED_MILLISECONDS);
    }
    if (killed.size > 0) {
      const log = join(this.#work, LOG);
      const which = killed.size === 1 ? 'the process' : `${killed.size} processes`;
      const reason = reasonIn(log) ?? `criu lazy-pages ended with exit code ${exitCode}`;
      this.#failure = new CkptfsError('io', `${which} that waited for memory had to be killed: ${reason}`, {
        path: log,
      });
    }
    letExit(this.#pid);
  }
}

/** Kills a process. Returns whether it was still there. */
function kill(pid: number): boolean {
  try {
    return process.kill(pid, 'SIGKILL');
  } catch {
    return false;
  }
}

/** Returns the first error in a log of criu, without its time and place. */
function reasonIn(log: string): string | undefined {
  let lines: string[];
  try {
    lines = readFileSync(log, 'utf8').split('\n');
  } catch {
    return undefined;
  }
  // CRIU always tries to raise that limit, and goes on where it may not.
  const error = lines.find((line) => line.includes('Error') && !line.includes('RLIMIT_NOFILE'));
  return error?.replace(/^\([0-9.]*\) */, '').trim();
}
