import { closeSync, openSync, writeSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { CkptfsError, toPlainError } from '../../base/errors.ts';
import { redirectOutput } from '../../base/linux/descriptors.ts';
import { settleable } from '../../base/settleable.ts';
import { type FetcherReport, MAX_ORDER_SIZE, parseFetcherOrder } from './fetcher-order.ts';
import { watchNamespace } from './namespace-watch.ts';
import { serveImage } from './serve-image.ts';

const STANDARD_OUTPUT = 1;
/** A service manager sends them to all processes of a mount at once, and the daemon may need this one until it ends. */
const NOT_FOR_IT = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

/**
 * Runs the fetcher of a mount: does what standard input says (fetcher-order.ts), says on standard output whether it
 * serves, and ends when standard input is closed and no client is connected, and not by a signal that can be ignored.
 */
export async function runFetcher(): Promise<void> {
  for (const signal of NOT_FOR_IT) process.on(signal, () => undefined);
  const life = new AbortController();
  const stopWatching = watchNamespace(() => life.abort());
  const command = hear(process.stdin);
  let hasReported = false;
  // A command that ends before it heard that its image is served wants nothing of it.
  void command.isGone.then(() => hasReported || life.abort());
  const report = (said: FetcherReport): void => {
    hasReported = true;
    tell(said);
  };
  try {
    await serveImage(parseFetcherOrder(await command.order), {
      life,
      commandIsGone: command.isGone,
      onReady: (ready) => report({ ready }),
    });
  } catch (error) {
    if (!hasReported) report({ failed: toPlainError(error) });
    process.exitCode = 1;
  } finally {
    stopWatching();
    process.stdin.destroy();
  }
}

/** The command that started this process, as it is heard over standard input. */
interface Command {
  /** Its first line. */
  readonly order: Promise<string>;
  readonly isGone: Promise<void>;
}

function hear(input: Readable): Command {
  const [order, gone] = [settleable<string>(), settleable<void>()];
  let text = '';
  let isHeard = false;
  input.setEncoding('utf8');
  input.on('data', (piece: string) => {
    if (isHeard) return;
    text += piece;
    const end = text.indexOf('\n');
    isHeard = end >= 0 || text.length > MAX_ORDER_SIZE;
    if (isHeard) order.resolve(text.slice(0, Math.max(end, 0)));
  });
  for (const event of ['end', 'error', 'close']) {
    input.once(event, () => {
      order.reject(new CkptfsError('interrupted', 'the command that started the fetcher has ended'));
      gone.resolve();
    });
  }
  return { order: order.promise, isGone: gone.promise };
}

/** Writes the one line that the command waits for, and then nothing more to what it gave this process. */
function tell(report: FetcherReport): void {
  const nowhere = openSync('/dev/null', 'w');
  try {
    writeSync(STANDARD_OUTPUT, `${JSON.stringify(report)}\n`);
  } catch {
    // The command has ended, and is heard of by its end of standard input.
  } finally {
    redirectOutput(nowhere);
    closeSync(nowhere);
  }
}
