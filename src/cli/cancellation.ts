import { constants } from 'node:os';
import { CkptfsError } from '../base/errors.ts';
import { exitCodeOfSignal } from './exit-codes.ts';

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
type CancellingSignal = (typeof signals)[number];

/** How long threads may take to stop in order: they may be waiting for a file system that never answers. */
const STOP_MILLISECONDS = 5000;

/** How work learns that it is cancelled. */
interface Cancellation {
  readonly signal: AbortSignal;
  /** Must be called when the work begins to obey `signal`, and when it stops to. */
  readonly onCancellable: (isCancellable: boolean) => void;
}

interface EndedDetails {
  /** What remains, one sentence for the user. */
  readonly left: string;
  readonly cause?: unknown;
  /** Whether threads did not stop, so that process.exit would wait for them. */
  readonly isStuck?: boolean;
}

/** The error of a command that a signal ended. */
export class EndedBySignal extends CkptfsError<'interrupted'> {
  /** What remains, one sentence for the user. */
  readonly left: string;
  readonly signal: CancellingSignal;
  readonly isStuck: boolean;

  constructor(signal: CancellingSignal, { left, cause, isStuck = false }: EndedDetails) {
    super('interrupted', `interrupted by ${signal}`, { cause });
    this.left = left;
    this.signal = signal;
    this.isStuck = isStuck;
  }

  get exitCode(): number {
    return exitCodeOfSignal(constants.signals[this.signal]);
  }
}

/**
 * Runs work that a signal cancels in order while threads do it; a second signal ends the process at once. While this
 * thread alone does the work, the kernel ends the process: a handler would only run when the file system that the
 * thread waits for has answered.
 * @param left what remains when the work is cancelled, one sentence for the user
 * @param stopMilliseconds after this time the process ends although the work has not stopped
 * @throws EndedBySignal when the work was cancelled; otherwise what `work` throws
 */
export async function cancellable<T>(
  left: string,
  work: (cancellation: Cancellation) => Promise<T>,
  stopMilliseconds = STOP_MILLISECONDS,
): Promise<T> {
  const controller = new AbortController();
  let received: CancellingSignal | undefined;
  let timer: NodeJS.Timeout | undefined;
  let giveUp: (error: EndedBySignal) => void = () => undefined;
  const givenUp = new Promise<never>((_, reject) => {
    giveUp = reject;
  });
  const onSignal = (name: NodeJS.Signals): void => {
    const signal = signals.find((one) => one === name) ?? 'SIGTERM';
    received = signal;
    handleSignals(false);
    timer = setTimeout(() => giveUp(new EndedBySignal(signal, { left, isStuck: true })), stopMilliseconds);
    controller.abort();
  };
  const handleSignals = (isOurs: boolean): void => {
    // Without a listener, the kernel handles a signal again.
    for (const signal of signals) isOurs ? process.on(signal, onSignal) : process.off(signal, onSignal);
  };
  try {
    return await Promise.race([work({ signal: controller.signal, onCancellable: handleSignals }), givenUp]);
  } catch (error) {
    const isCancelled = error instanceof CkptfsError && error.code === 'interrupted';
    if (!isCancelled || received === undefined || error instanceof EndedBySignal) throw error;
    throw new EndedBySignal(received, { left, cause: error });
  } finally {
    clearTimeout(timer);
    handleSignals(false);
  }
}
