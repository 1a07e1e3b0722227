import { secondsSinceBoot } from '../../base/linux/boot-clock.ts';

/** The time that a host was suspended counts, but no timer runs meanwhile: so the clock is looked at this often. */
const LOOK_SECONDS = 5;

/** Calls a function when a time is over by a clock that goes on while the host is suspended. */
export class KeyTtl {
  readonly #seconds: number;
  readonly #onOver: () => void;
  readonly #now: () => number;
  #end: number | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** @param now seconds of that clock */
  constructor(seconds: number, onOver: () => void, now: () => number = secondsSinceBoot) {
    this.#seconds = seconds;
    this.#onOver = onOver;
    this.#now = now;
  }

  /** Begins anew. */
  start(): void {
    this.stop();
    this.#end = this.#now() + this.#seconds;
    this.#wait();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#end = undefined;
  }

  /** Undefined when it does not run. */
  get secondsLeft(): number | undefined {
    return this.#end === undefined ? undefined : Math.max(0, Math.ceil(this.#end - this.#now()));
  }

  #wait(): void {
    const left = (this.#end ?? 0) - this.#now();
    this.#timer = setTimeout(
      () => {
        if ((this.#end ?? 0) > this.#now()) return this.#wait();
        this.stop();
        this.#onOver();
      },
      Math.max(10, Math.min(left, LOOK_SECONDS) * 1000),
    ).unref();
  }
}
