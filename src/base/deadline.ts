import { performance } from 'node:perf_hooks';

/**
 * A point in time after which nothing is waited for any more, by the monotonic clock: neither a change of the time of
 * day nor anything that another process does in between moves it.
 */
export class Deadline {
  readonly #at: number;

  private constructor(at: number) {
    this.#at = at;
  }

  static after(milliseconds: number): Deadline {
    return new Deadline(performance.now() + milliseconds);
  }

  /** Milliseconds that are left, 0 when it has passed. */
  get left(): number {
    return Math.max(0, this.#at - performance.now());
  }

  get hasPassed(): boolean {
    return this.left === 0;
  }

  /** Returns the earlier of this deadline and one in so many milliseconds. */
  orAfter(milliseconds: number): Deadline {
    return new Deadline(Math.min(this.#at, performance.now() + milliseconds));
  }

  /** Waits for a promise, but not beyond this deadline; undefined when it has passed. */
  async wait<T>(promise: Promise<T>): Promise<T | undefined> {
    let timer: NodeJS.Timeout | undefined;
    const passed = new Promise<undefined>((resolve) => {
      timer = setTimeout(resolve, this.left, undefined);
    });
    try {
      return await Promise.race([promise, passed]);
    } finally {
      clearTimeout(timer);
    }
  }
}
