import { uptime } from 'node:os';

/** The time that a host was suspended counts, but no timer runs meanwhile: so the clock is looked at this often. */
const LOOK_SECONDS = 5;

/** Calls a function when a time is over by the clock that goes on while the host is suspended (CLOCK_BOOTTIME). */
export class KeyTtl {
  readonly #seconds: number;
  readonly #onOver: () => void;
  #end: number | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(seconds: number, onOver: () => void) {
    this.#seconds = seconds;
    this.#onOver = onOver;
  }

  /** Begins anew. */
  start(): void {
    this.stop();
    this.#end = uptime() + this.#seconds;
    this.#wait();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#end = undefined;
  }

  /** Undefined when it does not run. */
  get secondsLeft(): number | undefined {
    return this.#end === undefined ? undefined : Math.max(0, Math.ceil(this.#end - uptime()));
  }

  #wait(): void {
    const left = (this.#end ?? 0) - uptime();
    this.#timer = setTimeout(
      () => {
        if ((this.#end ?? 0) > uptime()) return this.#wait();
        this.stop();
        this.#onOver();
      },
      Math.max(10, Math.min(left, LOOK_SECONDS) * 1000),
    ).unref();
  }
}
