import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { CkptfsError } from '../../base/errors.ts';
import { withoutInheritance } from '../../base/linux/descriptors.ts';
import { socketPair } from '../../base/linux/sockets.ts';
import type { Secret } from '../../crypto/secret.ts';
import type { DaemonConfig } from '../handover/daemon-config.ts';
import { REPORT_FD } from '../handover/descriptors.ts';
import { handOverKey, type KeyOrigin } from '../handover/key-channel.ts';
import { sendConfig } from '../handover/orders.ts';
import { DaemonReports, type ReadyReport } from '../handover/reports.ts';
import { apartCommand, placeToBeApartFrom } from './apart-launch.ts';
import { DAEMON_PROGRAM, daemonEnvironment } from './daemon-program.ts';

/**
 * The process of a daemon in the background. Because starting takes longer than anything else, it can be started before
 * it is known what to mount. If it is never told, it ends with the process that started it.
 */
export class DaemonProcess {
  readonly #process: ChildProcess;
  /** The socket that the daemon listens to until it has its key. */
  readonly #orders: number;
  readonly #reports: DaemonReports;
  /** Rejects when the process cannot be started. */
  readonly #failed: Promise<never>;

  private constructor(process: ChildProcess, orders: number) {
    this.#process = process;
    this.#orders = orders;
    this.#reports = new DaemonReports(this.#stream);
    this.#failed = new Promise((_, reject) => {
      process.on('error', (cause) => reject(new CkptfsError('internal', `cannot start the daemon: ${cause.message}`)));
    });
    // A daemon that is not needed in the end may fail without being noticed.
    this.#failed.catch(() => undefined);
  }

  /**
   * Starts the process, apart from the mount namespace of this process where that may end.
   * @param words what ps shows as its arguments
   * @param apart false keeps it in that namespace in any case
   */
  static start(words: readonly string[], { apart = true }: { readonly apart?: boolean } = {}): DaemonProcess {
    const [ours, theirs] = socketPair();
    const place = apart ? placeToBeApartFrom() : undefined;
    const placeFds = place === undefined ? [] : [place.namespace, place.root];
    const plain: [string, string[]] = [process.execPath, [DAEMON_PROGRAM, ...words]];
    try {
      const started = withoutInheritance(() =>
        spawn(...(place === undefined ? plain : apartCommand(...plain)), {
          cwd: '/',
          detached: true,
          env: daemonEnvironment(),
          // The caller sees what Node prints about a daemon that cannot start; later the daemon prints to its log.
          stdio: ['ignore', 'ignore', 'inherit', theirs, 'pipe', ...placeFds],
        }),
      );
      return new DaemonProcess(started, ours);
    } finally {
      for (const fd of [theirs, ...placeFds]) closeSync(fd);
    }
  }

  /**
   * Tells the daemon what to mount and, when it comes, the key, and waits until the mount serves. May be called once.
   * @throws the daemon's own error, or the one that the promise of the key rejects with; `bad-argument`
   *   when paths and options are too long
   */
  async mount(
    config: DaemonConfig,
    imageKey: Secret | Promise<Secret>,
    origin?: () => KeyOrigin,
  ): Promise<ReadyReport> {
    const received = async <T>(report: Promise<T>): Promise<T> =>
      Promise.race([report, this.#failed]).catch((error: CkptfsError) => {
        throw withLog(error, config);
      });
    try {
      sendConfig(this.#orders, config);
      const key = await imageKey;
      await received(this.#reports.hardened);
      handOverKey(this.#orders, this.#process.pid ?? 0, key, origin?.());
      return await received(this.#reports.ready);
    } finally {
      // A daemon that did not get all of it ends.
      closeSync(this.#orders);
    }
  }

  /** Lets this process end without waiting for the daemon. */
  letGo(): void {
    this.#process.unref();
    this.#stream.destroy();
  }

  get #stream(): Readable {
    return this.#process.stdio[REPORT_FD] as Readable;
  }
}

/** Adds the log to the error of a daemon that died without a report: the log may say why. */
function withLog(error: CkptfsError, { logFile }: DaemonConfig): CkptfsError {
  if (error.code !== 'internal' || error.aftermath !== undefined || logFile === undefined) return error;
  return new CkptfsError('internal', error.message, { path: logFile, data: { logFile }, cause: error });
}
