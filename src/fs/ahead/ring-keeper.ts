import { BlockMemory } from './block-memory.ts';
import { type AheadMemory, BLOCKS } from './layout.ts';
import { Ring } from './ring.ts';

/** How often the ring is looked at, and so how long it is unused, at least, until it is emptied. */
const INTERVAL_MILLISECONDS = 1000;

/**
 * Ends the streams of a ring, wipes its blocks and gives their memory back, in steps: after each of them other threads
 * may begin streams anew. What these fill stays.
 */
export function* emptying(ring: Ring, memory: Pick<BlockMemory, 'wipe' | 'giveBack'>): Generator<void, void> {
  if (!ring.endStreams()) return;
  yield;
  for (let slot = ring.claimWipe(); slot >= 0; slot = ring.claimWipe()) {
    yield;
    memory.wipe(slot);
    ring.finishWipe(slot);
    yield;
  }
  for (let group = ring.claimGroup(); group >= 0; group = ring.claimGroup()) {
    yield;
    memory.giveBack(group);
    ring.finishGiveBack(group);
    yield;
  }
}

/**
 * Empties the ring of a mount when no read has come for a while, and gives its memory back. It runs on a thread that
 * does not serve, since those that do may sleep as long as nothing is asked.
 */
export class RingKeeper {
  readonly #ring: Ring;
  readonly #memory: BlockMemory;
  #lastUse = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(memory: AheadMemory) {
    this.#ring = new Ring(memory.state);
    this.#memory = new BlockMemory(memory.blocks);
  }

  /** Must be called after a thread has taken memory. */
  watch(): void {
    this.#timer ??= setInterval(() => {
      if (this.look()) this.#stop();
    }, INTERVAL_MILLISECONDS).unref();
  }

  /**
   * Looks whether the ring was used since the last time, and empties it otherwise.
   * @returns whether nothing is left
   */
  look(): boolean {
    const { use } = this.#ring;
    const isUsed = use !== this.#lastUse;
    this.#lastUse = use;
    if (isUsed) return false;
    for (const _step of emptying(this.#ring, this.#memory));
    return this.#ring.isAbsent;
  }

  /**
   * Wipes all blocks, and gives their memory back. No thread may fill any meanwhile.
   * @returns false when another thread still uses one
   */
  empty(): boolean {
    for (const _step of emptying(this.#ring, this.#memory));
    return this.#ring.isAbsent;
  }

  /** Wipes everything. Must be called once no thread serves any more. */
  end(): void {
    this.#stop();
    for (let slot = 0; slot < BLOCKS; slot++) if (!this.#ring.blocks.isAbsent(slot)) this.#memory.wipe(slot);
  }

  #stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
