import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { CkptfsError, ioError } from '../../base/errors.ts';
import { withoutInheritance } from '../../base/linux/descriptors.ts';
import { adoptOrphans, lookAtTrace, traceExit } from '../../base/linux/exit-trace.ts';
import { firstErrorIn } from './criu-log.ts';
import type { EndingSignals } from './ending-signals.ts';
import { descendantsStartedWith, kill } from './waiting-processes.ts';

/** The names of what criu makes in the work directory. */
export const LAZY_PAGES_LOG = 'lazy-pages.log';
export const LAZY_PAGES_SOCKET = 'lazy-pages.socket';

/** Calls the function that starts a process, in the mount namespace that the process is to have. */
export type Starter = (work: () => ChildProcess) => ChildProcess;

/**
 * Starts `criu lazy-pages` and traces its exit. It listens when this returns its pid. This process becomes the parent
 * of orphans among its descendants. If anything fails, nothing of criu is left: nothing is restored yet, and it would
 * hold the mount for ever.
 * @param work the absolute path of the work directory
 * @throws CkptfsError `io` when criu cannot be run or traced; `missing-feature` when it does not start; `interrupted`
 */
export async function startLazyPages(
  images: string,
  work: string,
  { started, signals }: { readonly started: Starter; readonly signals: EndingSignals },
): Promise<number> {
  adoptOrphans();
  const words = ['lazy-pages', '--daemon', '--images-dir', images, '--work-dir', work, '--log-file', LAZY_PAGES_LOG];
  try {
    const exitCode = await launch(words, started, signals);
    if (signals.received !== undefined) throw interruptedBy(signals.received);
    // It is looked for, for a file with its pid in a directory of others could name any process.
    const [pid] = descendantsStartedWith(process.pid, words);
    if (exitCode !== 0 || pid === undefined) {
      const reason = firstErrorIn(join(work, LAZY_PAGES_LOG)) ?? `exit code ${exitCode}`;
      throw new CkptfsError('missing-feature', `criu lazy-pages does not start: ${reason}`, {
        data: { feature: 'userfaultfd' },
      });
    }
    trace(pid);
    return pid;
  } catch (error) {
    if (killAll(words) > 0) rmSync(join(work, LAZY_PAGES_SOCKET), { force: true });
    throw error;
  } finally {
    signals.whenReceived(() => undefined);
  }
}

/** Makes the error of a restore that a signal ends. */
export function interruptedBy(signal: 'SIGTERM' | 'SIGINT', consequence = ''): CkptfsError {
  return new CkptfsError('interrupted', `interrupted by ${signal}${consequence}`, { data: { signal } });
}

/** Waits until criu has made its daemon. A signal ends the waiting. Returns the exit code. */
async function launch(words: readonly string[], started: Starter, signals: EndingSignals): Promise<unknown> {
  const child = started(() => withoutInheritance(() => spawn('criu', words, { stdio: 'ignore', detached: true })));
  signals.whenReceived(() => child.kill('SIGKILL'));
  const [exitCode]: unknown[] = await once(child, 'exit').catch((cause: unknown) => {
    throw ioError('run', 'criu', cause);
  });
  return exitCode;
}

function trace(pid: number): void {
  try {
    traceExit(pid);
  } catch (cause) {
    throw ioError('trace', 'criu lazy-pages', cause);
  }
}

/** Kills what runs with these words. Returns the number of processes. */
function killAll(words: readonly string[]): number {
  const killed = new Set<number>();
  for (;;) {
    // One may have made another before it was killed.
    const left = descendantsStartedWith(process.pid, words).filter((pid) => !killed.has(pid));
    if (left.length === 0) return killed.size;
    for (const pid of left) {
      killed.add(pid);
      kill(pid);
      reapAtEnd(pid);
    }
  }
}

function reapAtEnd(pid: number): void {
  const reap = (): void => {
    if (lookAtTrace(pid).state === 'gone') process.removeListener('SIGCHLD', reap);
  };
  process.on('SIGCHLD', reap);
}
