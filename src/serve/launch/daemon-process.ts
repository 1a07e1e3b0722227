import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import type { Readable } from 'node:stream';
import { CkptfsError } from '../../base/errors.ts';
import { withoutInheritance } from '../../base/linux/descriptors.ts';
import { socketPair } from '../../base/linux/sockets.ts';
import type { Secret } from '../../crypto/secret.ts';
import { type DaemonConfig, REPORT_FD, type ReadyReport } from '../handover/config.ts';
import { handOverKey } from '../handover/key-channel.ts';
import { apartCommand, placeToBeApartFrom } from './apart-launch.ts';
import { DaemonReports } from './daemon-reports.ts';
import { daemonEnvironment, daemonProgram, sendConfig } from './launch.ts';

/**
 * The process of a daemon in the background. It can be started before it is known what it is to serve, as starting takes longer than
 * anything else; told nothing, it ends with the process that started it.
 */
export class DaemonProcess {
  readonly #process: ChildProcess;
  /** The socket that it listens to, until it was told everything. */
  readonly #orders: number;
  readonly #reports: DaemonReports;
  /** Why it could not be started. */
  readonly #failed: Promise<never>;

  private constructor(process: ChildProcess, orders: number) {
    this.#process = process;
    this.#orders = orders;
    this.#reports = new DaemonReports(this.#stream);
    this.#failed = new Promise((_, reject) => {
      process.on('error', (cause) => reject(new CkptfsError('internal', `cannot start the daemon: ${cause.message}`)));
    });
    // Until somebody wants it to serve nobody needs to know.
    this.#failed.catch(() => undefined);
  }

  /**
   * Starts it apart from the mount namespace of this process, where that may end.
   * @param words what ps shows of it
   * @param apart false keeps it in that namespace in any case
   */
  static start(words: readonly string[], { apart = true }: { readonly apart?: boolean } = {}): DaemonProcess {
    const [ours, theirs] = socketPair();
    const place = apart ? placeToBeApartFrom() : undefined;
    const left = place === undefined ? [] : [place.namespace, place.root];
    const plain: [string, string[]] = [process.execPath, [daemonProgram, ...words]];
    try {
      const started = withoutInheritance(() =>
        spawn(...(place === undefined ? plain : apartCommand(...plain)), {
          cwd: '/',
          detached: true,
          env: daemonEnvironment(),
          // What Node says of a daemon that cannot even be started is for the caller; the daemon then turns to its log.
          stdio: ['ignore', 'ignore', 'inherit', theirs, 'pipe', ...left],
        }),
      );
      return new DaemonProcess(started, ours);
    } finally {
      for (const fd of [theirs, ...left]) fs.closeSync(fd);
    }
  }

  /**
   * Tells it what to serve, and the key when it comes, and waits until the mount serves. Once.
   * @throws CkptfsError what the daemon met, or what the promise of the key fails with; `bad-argument` when paths and options are too long
   */
  async serve(config: DaemonConfig, imageKey: Secret | Promise<Secret>): Promise<ReadyReport> {
    const heard = async <T>(report: Promise<T>): Promise<T> =>
      Promise.race([report, this.#failed]).catch((error: CkptfsError) => {
        throw withLog(error, config);
      });
    try {
      sendConfig(this.#orders, config);
      const key = await imageKey;
      await heard(this.#reports.hardened);
      handOverKey(this.#orders, this.#process.pid ?? 0, key);
      return await heard(this.#reports.ready);
    } finally {
      // Without all of it the daemon ends.
      fs.closeSync(this.#orders);
    }
  }

  /** Nothing of the daemon keeps this process alive any more. */
  letGo(): void {
    this.#process.unref();
    this.#stream.destroy();
  }

  get #stream(): Readable {
    return this.#process.stdio[REPORT_FD] as Readable;
  }
}

/** Where a daemon that died without a word may have left one. */
function withLog(error: CkptfsError, { logFile }: DaemonConfig): CkptfsError {
  if (error.code !== 'internal' || error.aftermath !== undefined || logFile === undefined) return error;
  return new CkptfsError('internal', error.message, { path: logFile, data: { logFile }, cause: error });
}
