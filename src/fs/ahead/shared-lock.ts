const FREE = 0;
const HELD = 1;
const CONTENDED = 2;

/** More than the steps of a thread that holds the lock take. */
const SPINS = 300;
/** How long to wait for a holder that the kernel has stopped: longer than on an idle machine, and not for ever. */
const WAITS = 10;
const MILLISECONDS_PER_WAIT = 1;

/** A lock in memory that threads share. No thread waits for it without end: callers must be able to do without it. */
export class SharedLock {
  readonly #words: Int32Array;
  readonly #at: number;

  /** @param at the index of its word, 0 at first */
  constructor(words: Int32Array, at: number) {
    this.#words = words;
    this.#at = at;
  }

  /** @param waits of a millisecond each, at most @returns false when other threads have held it for all that time */
  tryTake(waits = WAITS): boolean {
    for (let spin = 0; spin < SPINS; spin++) {
      if (Atomics.compareExchange(this.#words, this.#at, FREE, HELD) === FREE) return true;
    }
    for (let wait = 0; wait < waits; wait++) {
      // Who takes it here leaves it contended, for others may wait as well.
      if (Atomics.exchange(this.#words, this.#at, CONTENDED) === FREE) return true;
      Atomics.wait(this.#words, this.#at, CONTENDED, MILLISECONDS_PER_WAIT);
    }
    return false;
  }

  release(): void {
    if (Atomics.exchange(this.#words, this.#at, FREE) === CONTENDED) Atomics.notify(this.#words, this.#at, 1);
  }
}
