import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import type { Readable } from 'node:stream';
import { CkptfsError, fromPlainError, type PlainError } from '../base/errors.ts';
import type { Secret } from '../crypto/secret.ts';
import { type DaemonConfig, REPORT_FD, type ReadyReport } from './config.ts';
import { daemonEnvironment, daemonProgram, sendConfig, sendKey } from './launch.ts';
import { makePipe } from './system-calls.ts';

/**
 * The process of a daemon in the background. It can be started before it is known what it is to serve, as starting takes longer than
 * anything else; told nothing, it ends with the process that started it.
 */
export class DaemonProcess {
  readonly #process: ChildProcess;
  /** The end of the pipe that it listens to, until it was told everything. */
  readonly #orders: number;
  /** Why it could not be started. */
  readonly #failed: Promise<never>;

  private constructor(process: ChildProcess, orders: number) {
    this.#process = process;
    this.#orders = orders;
    this.#failed = new Promise((_, reject) => {
      process.on('error', (cause) => reject(new CkptfsError('internal', `cannot start the daemon: ${cause.message}`)));
    });
    // Until somebody wants it to serve nobody needs to know.
    this.#failed.catch(() => undefined);
  }

  /** @param words what ps shows of it */
  static start(words: readonly string[]): DaemonProcess {
    const { readEnd, writeEnd } = makePipe();
    try {
      const started = spawn(process.execPath, [daemonProgram, ...words], {
        cwd: '/',
        detached: true,
        env: daemonEnvironment(),
        // What Node says of a daemon that cannot even be started is for the caller; the daemon then turns to its log.
        stdio: ['ignore', 'ignore', 'inherit', readEnd, 'pipe'],
      });
      return new DaemonProcess(started, writeEnd);
    } finally {
      fs.closeSync(readEnd);
    }
  }

  /**
   * Tells it what to serve, and the key when it comes, and waits until the mount serves. Once.
   * @throws CkptfsError what the daemon met, or what the promise of the key fails with; `bad-argument` when paths and options are too long
   */
  async serve(config: DaemonConfig, imageKey: Secret | Promise<Secret>): Promise<ReadyReport> {
    const reported = Promise.race([this.#report(config), this.#failed]);
    // Looked at below: until then nobody waits for it.
    reported.catch(() => undefined);
    try {
      sendConfig(this.#orders, config);
      sendKey(this.#orders, await imageKey);
    } finally {
      // Without all of it the daemon ends.
      fs.closeSync(this.#orders);
    }
    return reported;
  }

  /** Nothing of the daemon keeps this process alive any more. */
  letGo(): void {
    this.#process.unref();
    this.#stream.destroy();
  }

  get #stream(): Readable {
    return this.#process.stdio[REPORT_FD] as Readable;
  }

  /** The first line of what the daemon reports; its end without one means that the daemon died. */
  #report({ logFile }: DaemonConfig): Promise<ReadyReport> {
    const stream = this.#stream;
    return new Promise((resolve, reject) => {
      let text = '';
      const died = (reason: string): void =>
        reject(
          new CkptfsError('internal', `the daemon ${reason}`, {
            advice: `Its log is ${logFile}.`,
            ...(logFile === undefined ? {} : { path: logFile }),
          }),
        );
      stream.setEncoding('utf8');
      stream.on('error', (cause) => died(`cannot be heard: ${cause.message}`));
      stream.on('end', () => died('ended before it served'));
      stream.on('data', (part: string) => {
        text += part;
        const end = text.indexOf('\n');
        if (end < 0) return;
        const report = JSON.parse(text.slice(0, end)) as ReadyReport | PlainError;
        if ('ok' in report) resolve(report);
        else reject(fromPlainError(report));
      });
    });
  }
}
