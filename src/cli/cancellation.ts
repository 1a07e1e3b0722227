import { constants } from 'node:os';
import { CkptfsError } from '../base/errors.ts';
import { exitCodeOfSignal } from './exit-codes.ts';

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** A command was ended by a signal; says what that leaves behind. */
export class EndedBySignal extends CkptfsError {
  readonly signal: (typeof signals)[number];

  constructor(signal: (typeof signals)[number], left: string, cause: unknown) {
    super('interrupted', `interrupted by ${signal}`, { advice: left, cause });
    this.signal = signal;
  }

  get exitCode(): number {
    return exitCodeOfSignal(constants.signals[this.signal]);
  }
}

/**
 * Runs work that a signal cancels in order; a second signal ends the process at once.
 * @param left what remains when it is cancelled, one sentence for the user
 * @throws EndedBySignal when it was; otherwise what `work` throws
 */
export async function cancellable<T>(left: string, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  let received: (typeof signals)[number] | undefined;
  const onSignal = (signal: NodeJS.Signals): void => {
    const known = signals.find((name) => name === signal);
    if (received !== undefined || known === undefined) process.exit(exitCodeOfSignal(constants.signals[signal]));
    received = known;
    controller.abort();
  };
  for (const signal of signals) process.on(signal, onSignal);
  try {
    return await work(controller.signal);
  } catch (error) {
    const cancelled = error instanceof CkptfsError && error.code === 'interrupted';
    if (cancelled && received !== undefined) throw new EndedBySignal(received, left, error);
    throw error;
  } finally {
    for (const signal of signals) process.off(signal, onSignal);
  }
}
