import { writeSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { CkptfsError, fromPlainError, isPlainError, type PlainError } from '../../base/errors.ts';
import { REPORT_FD } from './descriptors.ts';

/** The daemon's first report: it is hardened, and has sent its end of the channel for the key. */
export const HARDENED = 'hardened';

const NOT_UNDERSTOOD = 'sends a report that this version does not understand';

/** The daemon's second and last report, unless it is an error. */
export interface ReadyReport {
  readonly ok: true;
  readonly pid: number;
  /** As in mount tables. */
  readonly mountPoint: string;
  /** The device number of what is visible at the mount point, `MAJOR:MINOR`. */
  readonly device: string;
  /** 32 hexadecimal digits. */
  readonly imageId: string;
  /** Sentences for the user. */
  readonly warnings: readonly string[];
}

/** In the daemon: sends a report. @throws Error in Node's shape when the process that started it is gone */
export function sendReport(report: typeof HARDENED | ReadyReport | PlainError): void {
  writeSync(REPORT_FD, `${report === HARDENED ? report : JSON.stringify(report)}\n`);
}

/** In the command: receives the reports of a daemon. */
export class DaemonReports {
  /** Settles when the daemon is hardened. Rejects with CkptfsError `internal` when it died before. */
  readonly hardened: Promise<void>;
  /** Settles when the mount serves. Rejects with the daemon's own error, or CkptfsError `internal` when it died. */
  readonly ready: Promise<ReadyReport>;
  readonly #lines: AsyncIterator<string>;

  constructor(stream: Readable) {
    this.#lines = lines(stream);
    this.hardened = this.#next().then((line) => {
      if (line !== HARDENED) throw died(NOT_UNDERSTOOD);
    });
    this.ready = this.hardened.then(async () => {
      const received = parseReport(await this.#next());
      if (isReady(received)) return received;
      throw isPlainError(received) ? fromPlainError(received) : died(NOT_UNDERSTOOD);
    });
    // A daemon that was started early and is not needed may die without being noticed.
    this.hardened.catch(() => undefined);
    this.ready.catch(() => undefined);
  }

  async #next(): Promise<string> {
    const { value, done } = await this.#lines.next().catch((cause: Error) => {
      throw died(`sends no reports: ${cause.message}`);
    });
    if (done) throw died('ended before it served');
    return value;
  }
}

/** Returns undefined for what is not JSON. */
function parseReport(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

function isReady(report: unknown): report is ReadyReport {
  return typeof report === 'object' && report !== null && 'ok' in report && report.ok === true;
}

function died(reason: string): CkptfsError {
  return new CkptfsError('internal', `the daemon ${reason}`);
}

async function* lines(stream: Readable): AsyncGenerator<string> {
  let text = '';
  for await (const part of stream.setEncoding('utf8')) {
    text += part;
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
      yield text.slice(0, end);
      text = text.slice(end + 1);
    }
  }
}
