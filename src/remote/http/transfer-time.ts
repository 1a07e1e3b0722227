/** Slower than this is no transfer. */
const SLOWEST_BYTES_PER_SECOND = 65_536;

/**
 * How long one request may take with all its repetitions. The time grows with the bytes that are sent and with those
 * that came, not with those that were promised, and what came early saves none for later: a server that has gigabytes
 * and begins to drip is given up like one that does not answer.
 */
export class TransferTime {
  readonly #begun = performance.now();
  readonly #timeoutMilliseconds: number;
  /** When it is over, as performance.now() counts. */
  #end: number;

  /** @param sent bytes that are sent */
  constructor(timeoutSeconds: number, sent: number) {
    this.#timeoutMilliseconds = 1000 * timeoutSeconds;
    this.#end = this.#begun + this.#timeoutMilliseconds + slowest(sent);
  }

  /** All of it, by what came so far. */
  get seconds(): number {
    return Math.round((this.#end - this.#begun) / 1000);
  }

  /** What is left of it, milliseconds; 0 when it is over. */
  get left(): number {
    return Math.max(0, this.#end - performance.now());
  }

  /** Hears that bytes came. */
  readonly received = (bytes: number): void => {
    const end = Math.min(this.#end + slowest(bytes), performance.now() + this.#timeoutMilliseconds);
    this.#end = Math.max(this.#end, end);
  };

  /**
   * Runs work with a signal that is aborted when the time is over, or when another one is.
   * @param work must settle soon once its signal is aborted
   * @throws what `work` throws
   */
  async run<T>(ended: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const controller = new AbortController();
    const abort = (): void => controller.abort();
    const look = (): void => {
      if (this.left === 0) abort();
      else timer = setTimeout(look, this.left);
    };
    let timer = setTimeout(look, this.left);
    ended.addEventListener('abort', abort, { once: true });
    if (ended.aborted) abort();
    try {
      return await work(controller.signal);
    } finally {
      clearTimeout(timer);
      ended.removeEventListener('abort', abort);
    }
  }
}

/** Returns the longest time that bytes may take, milliseconds. */
function slowest(bytes: number): number {
  return (1000 * bytes) / SLOWEST_BYTES_PER_SECOND;
}
