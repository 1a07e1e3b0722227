import { CkptfsError } from '../../base/errors.ts';

/** Only a failure that took so long is remembered: another attempt that fails at once costs no time. */
const SLOW_MILLISECONDS = 1000;
/** For how long. A reader that waited in vain has usually asked for more, and others have. */
const MEMORY_MILLISECONDS = 1000;

/**
 * Remembers for a moment that a store let a request wait for all of its time. What is asked for then fails by the same
 * error, instead of letting each block of a read wait as long, one after the other.
 */
export class Outage {
  readonly #now: () => number;
  #error: CkptfsError | undefined;
  #until = 0;

  /** @param now a clock that never goes back, milliseconds */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Returns the error of a request that failed a moment ago; undefined when none has. */
  get current(): CkptfsError | undefined {
    return this.#now() < this.#until ? this.#error : undefined;
  }

  /** Does something that asks the store, and remembers how it fails. @throws what it throws */
  async noting<T>(ask: () => Promise<T>): Promise<T> {
    const began = this.#now();
    try {
      return await ask();
    } catch (error) {
      const now = this.#now();
      if (error instanceof CkptfsError && error.code === 'store-unavailable' && now - began >= SLOW_MILLISECONDS) {
        this.#error = error;
        this.#until = now + MEMORY_MILLISECONDS;
      }
      throw error;
    }
  }
}
