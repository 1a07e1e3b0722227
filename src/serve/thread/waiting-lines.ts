/** The most lines of one serving thread that wait for the daemon's first thread. */
export const MAX_WAITING_LINES = 256;

const WAITING = 0;
const LEFT_OUT = 1;

/**
 * Counts the lines for the log that a serving thread has sent and the daemon's first thread has not written yet. Every
 * read of a damaged chunk sends one, and a first thread that waits for the disk of its log takes none: without a bound
 * they would gather in memory.
 */
export class WaitingLines {
  readonly #counts: Int32Array;

  /** @param memory {@link WaitingLines.byteLength} bytes, shared by both threads */
  constructor(memory: SharedArrayBuffer) {
    this.#counts = new Int32Array(memory);
  }

  static readonly byteLength = 2 * Int32Array.BYTES_PER_ELEMENT;

  /** Is called before a line is sent. False means that too many wait: the line is left out, and counted as such. */
  tryAdd(): boolean {
    const mayWait = Atomics.load(this.#counts, WAITING) < MAX_WAITING_LINES;
    Atomics.add(this.#counts, mayWait ? WAITING : LEFT_OUT, 1);
    return mayWait;
  }

  /** Is called when a line has arrived. Returns how many were left out since the last call. */
  take(): number {
    Atomics.sub(this.#counts, WAITING, 1);
    return Atomics.exchange(this.#counts, LEFT_OUT, 0);
  }
}
