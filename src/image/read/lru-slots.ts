/** No slot. Links and heads of chains begin as zeros, so slots are numbered from 1 inside. */
const NONE = 0;
/** The key of a slot that was released. */
const NO_KEY = -1;

/**
 * Gives each key one of a fixed number of slots, and takes the slot of the least recently used key when all are given.
 * All memory is made once, and the system gives it when it is first touched: finding and claiming allocate nothing.
 */
export class LruSlots {
  readonly #count: number;
  /** The key of each slot. */
  readonly #keys: Float64Array;
  /** The first slot of each chain of keys with one hash, and the next slot of the chain. */
  readonly #heads: Int32Array;
  readonly #next: Int32Array;
  /** Neighbours by time of use, in a ring through NONE: after it the slot used last, before it the one used first. */
  readonly #older: Int32Array;
  readonly #newer: Int32Array;
  /** How many slots were claimed at least once. */
  #used = 0;

  constructor(count: number) {
    this.#count = count;
    this.#keys = new Float64Array(count + 1);
    this.#heads = new Int32Array(2 ** Math.ceil(Math.log2(count + 1)));
    this.#next = new Int32Array(count + 1);
    this.#older = new Int32Array(count + 1);
    this.#newer = new Int32Array(count + 1);
  }

  /** The number of slots that were claimed since the last {@link clear}: slots are first claimed in ascending order. */
  get used(): number {
    return this.#used;
  }

  /** Returns the slot of a key, which is then the last to be taken, or -1. @param key an integer from 0 to 2^53 - 1 */
  find(key: number): number {
    let slot = this.#heads[this.#chain(key)] as number;
    while (slot !== NONE && this.#keys[slot] !== key) slot = this.#next[slot] as number;
    if (slot !== NONE && this.#older[NONE] !== slot) {
      this.#unlink(slot);
      this.#linkNewest(slot);
    }
    return slot - 1;
  }

  /** Gives a slot to a key that has none: one that was released, an unused one, or that of the least recently used. */
  claim(key: number): number {
    const oldest = this.#newer[NONE] as number;
    let slot = oldest;
    if (this.#used < this.#count && (oldest === NONE || this.#keys[oldest] !== NO_KEY)) {
      slot = ++this.#used;
    } else {
      this.#unlink(slot);
      this.#unchain(slot);
    }
    const chain = this.#chain(key);
    this.#keys[slot] = key;
    this.#next[slot] = this.#heads[chain] as number;
    this.#heads[chain] = slot;
    this.#linkNewest(slot);
    return slot - 1;
  }

  /** Takes a slot from its key, to be claimed next. */
  release(index: number): void {
    const slot = index + 1;
    this.#unchain(slot);
    this.#keys[slot] = NO_KEY;
    this.#unlink(slot);
    const oldest = this.#newer[NONE] as number;
    this.#older[slot] = NONE;
    this.#newer[slot] = oldest;
    this.#older[oldest] = slot;
    this.#newer[NONE] = slot;
  }

  /** Takes the slots of all keys. */
  clear(): void {
    this.#heads.fill(NONE); // not secret: slot numbers
    this.#older[NONE] = NONE;
    this.#newer[NONE] = NONE;
    this.#used = 0;
  }

  #chain(key: number): number {
    const mixed = Math.imul((key >>> 0) ^ Math.imul((key / 2 ** 32) >>> 0, 0x85ebca6b), 0x9e3779b1);
    return (mixed ^ (mixed >>> 15)) & (this.#heads.length - 1);
  }

  #unchain(slot: number): void {
    const key = this.#keys[slot] as number;
    if (key === NO_KEY) return;
    const chain = this.#chain(key);
    const after = this.#next[slot] as number;
    let at = this.#heads[chain] as number;
    if (at === slot) {
      this.#heads[chain] = after;
      return;
    }
    while (this.#next[at] !== slot) at = this.#next[at] as number;
    this.#next[at] = after;
  }

  #unlink(slot: number): void {
    const older = this.#older[slot] as number;
    const newer = this.#newer[slot] as number;
    this.#newer[older] = newer;
    this.#older[newer] = older;
  }

  #linkNewest(slot: number): void {
    const newest = this.#older[NONE] as number;
    this.#older[slot] = newest;
    this.#newer[slot] = NONE;
    this.#newer[newest] = slot;
    this.#older[NONE] = slot;
  }
}
