import type { Deadline } from '../../base/deadline.ts';

/** The places of the numbers in the shared memory. */
const VERSION = 0;
const JOINED = 1;
const PREPARED = 2;
const REGISTERED = 3;
/** The outcomes of the steps: {@link SUCCESS} or {@link FAILURE}, for ever, or 0 while a step is open. */
const PREPARATION = 4;
const DECISION = 5;
const REGISTRATION = 6;
const SLOTS = 7;

const SUCCESS = 1;
const FAILURE = 2;

/**
 * What the threads of a mount must agree on before the kernel may use io_uring: all have a ring, FUSE_INIT was answered
 * so, and all have registered their queues. Until then every process that touches the mount waits. A thread that fails
 * says so, and then all serve /dev/fuse.
 */
export class RingAgreement {
  static readonly byteLength = SLOTS * Int32Array.BYTES_PER_ELEMENT;

  readonly #slots: Int32Array;
  readonly #threads: number;

  /** @param memory of {@link byteLength} bytes, the same for all threads of the mount */
  constructor(memory: SharedArrayBuffer, threads: number) {
    this.#slots = new Int32Array(memory);
    this.#threads = threads;
  }

  /** Returns the number of this thread, from 0 on. The first one answers FUSE_INIT. */
  join(): number {
    return Atomics.add(this.#slots, JOINED, 1);
  }

  /** Says that this thread has a ring. */
  prepared(): void {
    this.#arrive(PREPARED, PREPARATION);
  }

  /** Says that this thread has registered its queues. */
  registered(): void {
    this.#arrive(REGISTERED, REGISTRATION);
  }

  /** Says that this thread cannot take part: no other waits for it any longer. */
  fail(): void {
    this.#settle(PREPARATION, FAILURE);
    this.#settle(REGISTRATION, FAILURE);
  }

  /** Says how FUSE_INIT was answered, once, by the thread that did. */
  decide(overRing: boolean): void {
    this.#settle(DECISION, overRing ? SUCCESS : FAILURE);
  }

  /** Waits until all threads have rings. Returns false when one failed, or was not there before the deadline. */
  allPrepared(deadline: Deadline): boolean {
    return this.#outcome(PREPARATION, deadline);
  }

  /** Waits for {@link decide}. Returns whether it is for io_uring. */
  decision(deadline: Deadline): boolean {
    return this.#outcome(DECISION, deadline);
  }

  /**
   * Waits until all threads have registered their queues. Returns false when one failed. There is no deadline: the
   * kernel uses io_uring from the last registration on, even of a thread that was late, and then never the device.
   */
  allRegistered(): boolean {
    return this.#outcome(REGISTRATION);
  }

  #arrive(count: number, outcome: number): void {
    if (Atomics.add(this.#slots, count, 1) + 1 === this.#threads) this.#settle(outcome, SUCCESS);
  }

  /** Settles the outcome of a step, unless another thread has. */
  #settle(outcome: number, value: number): void {
    Atomics.compareExchange(this.#slots, outcome, 0, value);
    Atomics.add(this.#slots, VERSION, 1);
    Atomics.notify(this.#slots, VERSION);
  }

  #outcome(slot: number, deadline?: Deadline): boolean {
    while (Atomics.load(this.#slots, slot) === 0) {
      const version = Atomics.load(this.#slots, VERSION);
      if (Atomics.load(this.#slots, slot) !== 0) break;
      // The thread that gives up settles it for all.
      if (deadline?.hasPassed) this.#settle(slot, FAILURE);
      else Atomics.wait(this.#slots, VERSION, version, deadline?.left);
    }
    return Atomics.load(this.#slots, slot) === SUCCESS;
  }
}
