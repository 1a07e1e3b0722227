import { CkptfsError } from '../../base/errors.ts';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Runs work that must end in order when a signal would end this process: that it echoes again on a terminal, or kills
 * what it started.
 * @param work must settle soon once the signal is aborted
 * @throws CkptfsError `interrupted` after a signal; otherwise what `work` throws
 */
export async function interruptible<T>(work: (interrupted: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  let received: (typeof SIGNALS)[number] | undefined;
  const onSignal = (name: NodeJS.Signals): void => {
    received ??= SIGNALS.find((one) => one === name) ?? 'SIGTERM';
    controller.abort();
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  try {
    const result = await work(controller.signal);
    if (received === undefined) return result;
  } catch (error) {
    if (received === undefined) throw error;
  } finally {
    for (const signal of SIGNALS) process.off(signal, onSignal);
  }
  throw new CkptfsError('interrupted', `interrupted by ${received}`, { data: { signal: received } });
}
