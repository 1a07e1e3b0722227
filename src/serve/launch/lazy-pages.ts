import { rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as after } from 'node:timers/promises';
import { CkptfsError } from '../../base/errors.ts';
import { letExit, lookAtTrace } from '../../base/linux/exit-trace.ts';
import { settleable } from '../../base/settleable.ts';
import { firstErrorIn } from './criu-log.ts';
import type { EndingSignals } from './ending-signals.ts';
import { interruptedBy, LAZY_PAGES_LOG, LAZY_PAGES_SOCKET, type Starter, startLazyPages } from './start-lazy-pages.ts';
import { holdsUserfaultfd, kill, processesWaitingForMemory } from './waiting-processes.ts';

/** How often the processes that were killed are looked at until all of them are gone. */
const KILLED_MILLISECONDS = 5;

/** How often it is asked, when the command has ended, whether memory is still to be brought. */
const ALIVE_MILLISECONDS = 1000;

/** How many times in a row no process may wait: a process whose parent ends meanwhile is missed once. */
const EMPTY_LOOKS = 2;

const EXIT_BY_SIGTERM = 128 + 15;

/**
 * A `criu lazy-pages` that brings memory to restored processes while they run, held so that no process can go on with
 * memory that was not brought.
 *
 * The kernel fills missing pages with zeros from the moment on that nothing holds their userfaultfd, and that process
 * alone holds it. If it fails (a damaged chunk, a mount that is gone, no memory, a signal), the processes would run on
 * zeros. So it is stopped at its end, while its descriptors are open; those that still wait for memory are killed; only
 * then it goes, and not before the command has ended: a process that is being restored may not wait yet.
 */
export class LazyPages {
  readonly #pid: number;
  readonly #work: string;
  readonly #signals: EndingSignals;
  readonly #commandEnded = settleable<void>();
  readonly #ended = settleable<void>();
  readonly #onChild = (): void => this.#look();
  #isCommandRunning = true;
  #isGone = false;
  #isExiting = false;
  /** Whether it was told to end because nothing was left for it to do. */
  #isDismissed = false;
  #failure: CkptfsError | undefined;

  private constructor(pid: number, work: string, signals: EndingSignals) {
    this.#pid = pid;
    this.#work = work;
    this.#signals = signals;
    process.on('SIGCHLD', this.#onChild);
    signals.spareOneInterrupt();
    signals.whenReceived(() => this.#terminate());
    this.#look();
  }

  /**
   * Starts it. It listens when this returns. This process becomes the parent of orphans among its descendants.
   * @param images the directory of image files
   * @param directory as `--work-dir` of the restore, for socket and log
   * @param signals from here on SIGTERM, and the second SIGINT, end it; {@link end} then returns `interrupted`
   * @throws CkptfsError `io` when criu cannot be run or traced; `missing-feature` when it does not start; `interrupted`
   */
  static async start(
    images: string,
    directory: string,
    { started, signals }: { readonly started: Starter; readonly signals: EndingSignals },
  ): Promise<LazyPages> {
    const work = resolve(directory);
    const pid = await startLazyPages(images, work, { started, signals });
    return new LazyPages(pid, work, signals);
  }

  /**
   * Waits until all memory is there; if no process waits for any, it ends at once. To be called when the command has
   * ended.
   * @returns an error of code `io` if processes were killed because memory could not be brought, `interrupted` if a
   *   signal was the reason
   */
  async end(): Promise<CkptfsError | undefined> {
    this.#isCommandRunning = false;
    this.#commandEnded.resolve();
    // A listener for a signal does not keep Node running, and the daemon of the mount may be gone.
    const alive = setInterval(() => this.#dismissIfIdle(), ALIVE_MILLISECONDS);
    try {
      this.#dismissIfIdle();
      await this.#ended.promise;
    } finally {
      clearInterval(alive);
      rmSync(join(this.#work, LAZY_PAGES_SOCKET), { force: true });
    }
    return this.#failure;
  }

  #dismissIfIdle(): void {
    this.#look();
    if (this.#isDismissed || this.#isGone || this.#isExiting || !this.#isIdle()) return;
    this.#isDismissed = true;
    this.#terminate();
  }

  #isIdle(): boolean {
    try {
      return !holdsUserfaultfd(this.#pid) && processesWaitingForMemory(process.pid).length === 0;
    } catch {
      return false; // It is asked again.
    }
  }

  /** Asks it to end. The pid is still its own: nothing but {@link #look} takes note of its end. */
  #terminate(): void {
    this.#look();
    if (this.#isGone || this.#isExiting) return;
    process.kill(this.#pid, 'SIGTERM');
    process.kill(this.#pid, 'SIGCONT'); // One that is stopped would not end.
  }

  #look(): void {
    if (this.#isGone) return;
    const trace = lookAtTrace(this.#pid);
    if (trace.state === 'gone') {
      this.#isGone = true;
      process.removeListener('SIGCHLD', this.#onChild);
      this.#ended.resolve();
    } else if (trace.state === 'exiting') {
      this.#isExiting = true;
      if (trace.exitCode === 0) letExit(this.#pid);
      else void this.#killThenLetExit(trace.exitCode);
    }
  }

  /** Kills all that wait for memory, and waits until they are gone. Until then their memory stays what it is. */
  async #killThenLetExit(exitCode: number): Promise<void> {
    const killed = new Set<number>();
    let emptyLooks = 0;
    while (this.#isCommandRunning || emptyLooks < EMPTY_LOOKS) {
      const isClear = killWaiting(killed);
      emptyLooks = isClear && !this.#isCommandRunning ? emptyLooks + 1 : 0;
      const wait = after(isClear && this.#isCommandRunning ? ALIVE_MILLISECONDS : KILLED_MILLISECONDS);
      await Promise.race(this.#isCommandRunning ? [wait, this.#commandEnded.promise] : [wait]);
    }
    this.#failure = this.#reasonToReport(exitCode, killed.size);
    letExit(this.#pid);
  }

  #reasonToReport(exitCode: number, killed: number): CkptfsError | undefined {
    if (this.#isDismissed && killed === 0) return undefined;
    const { received } = this.#signals;
    if (received !== undefined && exitCode === EXIT_BY_SIGTERM) {
      return interruptedBy(received, `, ${killed} ${killed === 1 ? 'process' : 'processes'} killed`);
    }
    if (killed === 0) return undefined;
    const log = join(this.#work, LAZY_PAGES_LOG);
    const which = killed === 1 ? 'the process' : `${killed} processes`;
    const reason = firstErrorIn(log) ?? `criu lazy-pages ended with exit code ${exitCode}`;
    return new CkptfsError('io', `${which} that waited for memory had to be killed: ${reason}`, { path: log });
  }
}

/** Kills those that wait for memory, and adds them to `killed`. Returns whether it is known that there were none. */
function killWaiting(killed: Set<number>): boolean {
  let waiting: number[];
  try {
    waiting = processesWaitingForMemory(process.pid);
  } catch {
    return false;
  }
  for (const pid of waiting) if (kill(pid)) killed.add(pid);
  return waiting.length === 0;
}
