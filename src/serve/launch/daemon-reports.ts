import type { Readable } from 'node:stream';
import { CkptfsError, fromPlainError, isPlainError } from '../../base/errors.ts';
import { HARDENED, type ReadyReport } from '../handover/config.ts';

/** What a daemon reports to whoever started it, line by line. */
export class DaemonReports {
  /** Settles when the daemon has hardened itself and offered a channel for the key. @throws CkptfsError `internal` when it died before */
  readonly hardened: Promise<void>;
  /** Settles when the mount serves. @throws CkptfsError what the daemon met; `internal` when it died */
  readonly ready: Promise<ReadyReport>;
  readonly #lines: AsyncIterator<string>;

  constructor(stream: Readable) {
    this.#lines = lines(stream);
    this.hardened = this.#next().then((line) => {
      if (line !== HARDENED) throw died('reports what this version does not understand');
    });
    this.ready = this.hardened.then(async () => {
      const report = parseReport(await this.#next());
      if (isReady(report)) return report;
      throw isPlainError(report) ? fromPlainError(report) : died('reports what this version does not understand');
    });
    // Until somebody wants it to serve nobody needs to know.
    this.hardened.catch(() => undefined);
    this.ready.catch(() => undefined);
  }

  async #next(): Promise<string> {
    const { value, done } = await this.#lines.next().catch((cause: Error) => {
      throw died(`cannot be heard: ${cause.message}`);
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
