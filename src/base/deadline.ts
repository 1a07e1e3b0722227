import { performance } from 'node:perf_hooks';

/**
 * A point in time at which waiting ends, by the monotonic clock: neither a change of the time of day nor anything that
 * another process does in between moves it.
 */
export class Deadline {
  /** Milliseconds, as performance.now() counts them. */
  readonly #time: number;

  private constructor(time: number) {
    this.#time = time;
  }

  static after(milliseconds: number): Deadline {
    return new Deadline(performance.now() + milliseconds);
  }

  /** The milliseconds that remain; 0 when the deadline has passed. */
  get left(): number {
    return Math.max(0, this.#time - performance.now());
  }

  get hasPassed(): boolean {
    return this.left === 0;
  }

  /** Returns this deadline or, if that is earlier, one after so many milliseconds. */
  orAfter(milliseconds: number): Deadline {
    return new Deadline(Math.min(this.#time, performance.now() + milliseconds));
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
