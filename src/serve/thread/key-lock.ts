import { SignalStack } from '../../base/linux/signal-stack.ts';
import { interruptThread, thisThread, WAKING_SIGNAL } from '../../base/linux/thread-wake.ts';

/** Whether a mount is locked: its image key is wiped, and no contents are read. All its threads share it. */
export class KeyLock {
  static readonly byteLength = Int32Array.BYTES_PER_ELEMENT;
  /** Odd while it is locked. */
  readonly #generation: Int32Array;

  /** @param memory shared by all threads of the mount */
  constructor(memory: SharedArrayBuffer) {
    this.#generation = new Int32Array(memory);
  }

  /** Changes whenever {@link isLocked} does. */
  get generation(): number {
    return Atomics.load(this.#generation, 0);
  }

  get isLocked(): boolean {
    return (this.generation & 1) === 1;
  }

  /** Only the daemon's first thread calls it. */
  lock(): void {
    if (!this.isLocked) Atomics.add(this.#generation, 0, 1);
  }

  /** Only the daemon's first thread calls it. */
  unlock(): void {
    if (this.isLocked) Atomics.add(this.#generation, 0, 1);
  }
}

/** THREAD is 0 while that thread must not be woken, or is being woken. The thread that sets it to 0 sets it back. */
const [THREAD, WIPED_AT] = [0, 1];

/** How far one serving thread has followed a {@link KeyLock}. */
export class ThreadWipe {
  static readonly byteLength = 2 * BigInt64Array.BYTES_PER_ELEMENT;
  readonly #words: BigInt64Array;
  /** In that thread, while it may be woken. */
  #signals: SignalStack | undefined;

  /** @param memory shared by that thread and the daemon's first */
  constructor(memory: SharedArrayBuffer) {
    this.#words = new BigInt64Array(memory);
  }

  /** In that thread: allows it to be woken from now on. It takes no other signal any more. @throws Error */
  begin(): void {
    this.#signals = new SignalStack(WAKING_SIGNAL);
    this.#allow(thisThread());
  }

  /** In that thread: says that it will wait no more, or may end. */
  end(): void {
    if (this.#signals === undefined) return;
    this.#forbid();
    this.#signals.remove();
    this.#signals = undefined;
  }

  /** In that thread: says that it has wiped all it had when the lock was of this generation. */
  wiped(generation: number): void {
    const thread = this.#signals === undefined ? 0 : this.#forbid();
    // A signal that came later would save registers once more.
    this.#signals?.wipe();
    Atomics.store(this.#words, WIPED_AT, BigInt(generation));
    this.#allow(thread);
  }

  /** In the daemon's first thread. */
  hasWiped(generation: number): boolean {
    return Atomics.load(this.#words, WIPED_AT) === BigInt(generation);
  }

  /** In the daemon's first thread: lets that thread look at the lock if it waits for a request and has not wiped. */
  wake(generation: number): void {
    const thread = this.#take();
    if (thread === 0) return;
    try {
      if (!this.hasWiped(generation)) interruptThread(thread);
    } finally {
      this.#allow(thread);
    }
  }

  #take(): number {
    return Number(Atomics.exchange(this.#words, THREAD, 0n));
  }

  #allow(thread: number): void {
    Atomics.store(this.#words, THREAD, BigInt(thread));
    Atomics.notify(this.#words, THREAD);
  }

  /** In that thread: keeps it from being woken, and waits while it is. Returns the number that {@link #allow} needs. */
  #forbid(): number {
    for (;;) {
      const thread = this.#take();
      if (thread !== 0) return thread;
      Atomics.wait(this.#words, THREAD, 0n);
    }
  }
}

/** Lets a serving thread follow a lock: wipes once for each time that it is locked. */
export function lockFollower(lock: KeyLock, own: ThreadWipe, wipeAll: () => void): () => void {
  let seen = lock.generation;
  return () => {
    const { generation } = lock;
    if (generation === seen) return;
    seen = generation;
    if (!lock.isLocked) return;
    wipeAll();
    own.wiped(generation);
  };
}
