import { constants } from 'node:os';
import { CkptfsError } from '../base/errors.ts';
import { exitCodeOfSignal } from './exit-codes.ts';

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
type CancellingSignal = (typeof signals)[number];

/** So long may threads take to stop in order: they may be waiting for a file system that never answers. */
const STOP_MILLISECONDS = 5000;

/** What cancels work in order. */
interface Cancellation {
  readonly signal: AbortSignal;
  /** To be told when the work begins to heed `signal`, and when it no longer does. */
  readonly onCancellable: (isCancellable: boolean) => void;
}

interface EndedDetails {
  /** What remains, one sentence for the user. */
  readonly left: string;
  readonly cause?: unknown;
  /** Whether threads did not stop, so that process.exit would wait for them. */
  readonly isStuck?: boolean;
}

/** A command was ended by a signal; says what that leaves behind. */
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
 * Runs work that a signal cancels in order as long as threads do it; a second signal ends the process at once. While one
 * thread does it the kernel ends the process, since a handler would not run before the file system that it waits for answers.
 * @param left what remains when it is cancelled, one sentence for the user
 * @param stopMilliseconds after which the process is ended although work has not stopped
 * @throws EndedBySignal when it was; otherwise what `work` throws
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
    // Without a listener a signal is the kernel's again.
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
