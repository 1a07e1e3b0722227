import { CkptfsError } from '../../base/errors.ts';
import { BLOCK_NUMBERS, BLOCK_WORDS, BLOCKS, BLOCKS_PER_GROUP } from './layout.ts';

/**
 * What is in a block's memory:
 *
 *     absent → making → free → filling → ready → spent → wiping → free
 *                                filling → doomed → unusable → spent
 *
 * - `absent`: there is no memory yet. `free`: zeros. `making` and `wiping`: one thread brings it there.
 * - `filling`: one thread decrypts into it. `ready`: all of it is verified, and may be sent.
 * - `doomed`: filling, but nothing will be read of it. `unusable`: filled in vain, or damaged.
 * - `spent`: bytes that no stream needs any more, until they are overwritten or wiped.
 *
 * The thread that fills, makes or wipes a block ends that by itself ({@link finish}); all else happens under the lock.
 */
export const State = {
  absent: 0,
  making: 1,
  free: 2,
  filling: 3,
  ready: 4,
  doomed: 5,
  unusable: 6,
  spent: 7,
  wiping: 8,
} as const;

export type BlockState = (typeof State)[keyof typeof State];

const NO_FILE = -1;
/** About as long as a block takes to be filled. */
const SPINS_FOR_FILLER = 2000;
/** For a filler that the kernel has stopped. Reading the block anew takes less. */
const MILLISECONDS_FOR_FILLER = 1;

/**
 * The table of blocks. A *pin* keeps a block as it is while a reply is made of it: a block with pins is neither filled
 * again nor wiped. Pins are added under the lock, and removed without it.
 */
export class Blocks {
  readonly #words: Int32Array;
  readonly #numbers: Float64Array;

  constructor(words: Int32Array, numbers: Float64Array) {
    this.#words = words;
    this.#numbers = numbers;
  }

  state(slot: number): number {
    return Atomics.load(this.#words, stateOf(slot));
  }

  isAbsent(slot: number): boolean {
    return this.state(slot) === State.absent;
  }

  isPinned(slot: number): boolean {
    return Atomics.load(this.#words, stateOf(slot) + BLOCK_WORDS.pins) !== 0;
  }

  /** Whether the slot is about this file. */
  isOf(slot: number, file: number): boolean {
    return this.#words[stateOf(slot) + BLOCK_WORDS.file] === file;
  }

  file(slot: number): number {
    return this.#words[stateOf(slot) + BLOCK_WORDS.file] ?? NO_FILE;
  }

  block(slot: number): number {
    return this.#numbers[BLOCK_NUMBERS.at + slot] ?? 0;
  }

  /** Finds a block that is ready, or is being filled; -1 when there is none. */
  find(file: number, block: number): number {
    for (let slot = 0; slot < BLOCKS; slot++) {
      if (!this.isOf(slot, file) || this.block(slot) !== block) continue;
      const state = this.state(slot);
      if (state === State.ready || state === State.filling) return slot;
    }
    return -1;
  }

  /** Finds any slot in a state; -1 when there is none. */
  findIn(state: BlockState): number {
    for (let slot = 0; slot < BLOCKS; slot++) if (this.state(slot) === state) return slot;
    return -1;
  }

  /** Finds a spent slot that is about no file any more; -1 when there is none. */
  findForgotten(): number {
    for (let slot = 0; slot < BLOCKS; slot++) {
      if (this.state(slot) === State.spent && this.isOf(slot, NO_FILE)) return slot;
    }
    return -1;
  }

  count(state: BlockState): number {
    let found = 0;
    for (let slot = 0; slot < BLOCKS; slot++) if (this.state(slot) === state) found++;
    return found;
  }

  /** Lets a slot be filled with a block. @throws CkptfsError `internal` when it is pinned */
  claim(slot: number, file: number, block: number): void {
    this.#checkUnpinned(slot);
    this.#words[stateOf(slot) + BLOCK_WORDS.file] = file;
    this.#numbers[BLOCK_NUMBERS.at + slot] = block;
    this.set(slot, State.filling);
  }

  /** Lets a slot be wiped. @throws CkptfsError `internal` when it is pinned */
  claimWipe(slot: number): void {
    this.#checkUnpinned(slot);
    this.set(slot, State.wiping);
  }

  /** Notes that nothing needs a slot. What was filled in vain may have bytes of another file: it is about none. */
  spend(slot: number): void {
    if (this.state(slot) === State.unusable) this.#words[stateOf(slot) + BLOCK_WORDS.file] = NO_FILE;
    this.set(slot, State.spent);
  }

  /** Makes the blocks of a file unknown; those being filled are doomed. */
  forget(file: number): void {
    for (let slot = 0; slot < BLOCKS; slot++) {
      if (!this.isOf(slot, file)) continue;
      this.#words[stateOf(slot) + BLOCK_WORDS.file] = NO_FILE;
      Atomics.compareExchange(this.#words, stateOf(slot), State.filling, State.doomed);
    }
  }

  set(slot: number, state: BlockState): void {
    Atomics.store(this.#words, stateOf(slot), state);
  }

  isGroupFree(group: number): boolean {
    for (let slot = group * BLOCKS_PER_GROUP; slot < (group + 1) * BLOCKS_PER_GROUP; slot++) {
      if (this.state(slot) !== State.free || this.isPinned(slot)) return false;
    }
    return true;
  }

  setGroup(group: number, state: (typeof State)['making' | 'absent' | 'free']): void {
    for (let slot = group * BLOCKS_PER_GROUP; slot < (group + 1) * BLOCKS_PER_GROUP; slot++) this.set(slot, state);
  }

  pin(slot: number): void {
    Atomics.add(this.#words, stateOf(slot) + BLOCK_WORDS.pins, 1);
  }

  unpin(slot: number): void {
    Atomics.sub(this.#words, stateOf(slot) + BLOCK_WORDS.pins, 1);
  }

  /** Ends the filling of a slot, and wakes who waits for it. @param isVerified whether all of the block is */
  finish(slot: number, isVerified: boolean): void {
    const at = stateOf(slot);
    const isReady =
      isVerified && Atomics.compareExchange(this.#words, at, State.filling, State.ready) === State.filling;
    if (!isReady) this.set(slot, State.unusable);
    Atomics.notify(this.#words, at);
  }

  /**
   * Waits a short while for a slot that another thread fills, and that is pinned.
   * @returns whether it is ready
   */
  waitFor(slot: number): boolean {
    const at = stateOf(slot);
    for (let spin = 0; spin < SPINS_FOR_FILLER; spin++) {
      if (Atomics.load(this.#words, at) !== State.filling) break;
    }
    if (this.state(slot) === State.filling) Atomics.wait(this.#words, at, State.filling, MILLISECONDS_FOR_FILLER);
    return this.state(slot) === State.ready;
  }

  #checkUnpinned(slot: number): void {
    if (this.isPinned(slot)) throw new CkptfsError('internal', `block ${slot} would change while it is sent`);
  }
}

function stateOf(slot: number): number {
  return BLOCK_WORDS.at + slot * BLOCK_WORDS.width;
}
