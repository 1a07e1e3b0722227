/** Does work a few at a time, in the order in which it came. What waits too long is not done. */
export class Lanes {
  readonly #maxWaiting: number;
  #free: number;
  #waiting: (() => Promise<void>)[] = [];

  /** @param limit how much is done at a time @param maxWaiting how much may wait; the oldest goes for the newest */
  constructor(limit: number, maxWaiting: number) {
    this.#free = limit;
    this.#maxWaiting = maxWaiting;
  }

  /** @param work says itself what is to be known of its failure */
  add(work: () => Promise<void>): void {
    this.#waiting.push(work);
    if (this.#waiting.length > this.#maxWaiting) this.#waiting.shift();
    if (this.#free > 0) void this.#go();
  }

  async #go(): Promise<void> {
    this.#free--;
    for (let work = this.#waiting.shift(); work !== undefined; work = this.#waiting.shift())
      await work().catch(() => undefined);
    this.#free++;
  }
}
