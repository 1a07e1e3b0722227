import { BlockMemory } from './block-memory.ts';
import { type AheadMemory, BLOCKS } from './layout.ts';
import { Ring, type Work } from './ring.ts';

/** How often the ring is looked at, and so how long it is unused, at least, until it is emptied. */
const INTERVAL_MILLISECONDS = 1000;

/**
 * Empties the ring of a mount when no read has come for a while, and gives its memory back. It runs on a thread that
 * does not serve, since those that do may sleep as long as nothing is asked.
 */
export class RingKeeper {
  readonly #ring: Ring;
  readonly #memory: BlockMemory;
  readonly #work: Work = { kind: 'wipe', slot: 0, node: 0, offset: 0, length: 0 };
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
    if (isUsed || !this.#ring.endStreams()) return false;
    // Without streams there is nothing to fill or to make.
    while (this.#ring.claim(this.#work)) {
      this.#memory.wipe(this.#work.slot);
      this.#ring.finishWipe(this.#work.slot);
    }
    for (let group = this.#ring.claimGroup(); group >= 0; group = this.#ring.claimGroup()) {
      this.#memory.giveBack(group);
      this.#ring.finishGiveBack(group);
    }
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
