/** A signal that ends a lazy restore before its memory is there. */
export type EndingSignal = 'SIGTERM' | 'SIGINT';

/** Signals that would end this process while others depend on it. They mean the command, if anything. */
const IGNORED = ['SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const;

/**
 * Handles the signals of this process from its construction until {@link close}, so that none ends it in between. It
 * keeps the first that asks it to end.
 */
export class EndingSignals {
  #received: EndingSignal | undefined;
  #sparedInterrupts = 0;
  #listener: (signal: EndingSignal) => void = () => undefined;
  readonly #ignore = (): void => undefined;
  readonly #onTerminate = (): void => this.#receive('SIGTERM');
  readonly #onInterrupt = (): void => {
    if (this.#sparedInterrupts > 0) this.#sparedInterrupts--;
    else this.#receive('SIGINT');
  };

  constructor() {
    for (const signal of IGNORED) process.on(signal, this.#ignore);
    process.on('SIGTERM', this.#onTerminate).on('SIGINT', this.#onInterrupt);
  }

  get received(): EndingSignal | undefined {
    return this.#received;
  }

  /** Calls the function, in place of an earlier one, when the first signal comes that asks this process to end. */
  whenReceived(listener: (signal: EndingSignal) => void): void {
    this.#listener = listener;
  }

  /** Ignores the next SIGINT: the terminal sends it to the command as well, and the command alone may be meant. */
  spareOneInterrupt(): void {
    this.#sparedInterrupts = 1;
  }

  close(): void {
    for (const signal of IGNORED) process.removeListener(signal, this.#ignore);
    process.removeListener('SIGTERM', this.#onTerminate).removeListener('SIGINT', this.#onInterrupt);
  }

  #receive(signal: EndingSignal): void {
    if (this.#received !== undefined) return;
    this.#received = signal;
    this.#listener(signal);
  }
}
