import { invariant } from '../../base/assert.ts';
import { Region } from '../../base/linux/native.ts';
import { fillRandom } from '../../crypto/system-random.ts';
import type { Geometry } from '../../format/geometry.ts';
import { clearSectorBits, NONCE_SIZE } from '../../format/record.ts';

/** Nonces drawn by one call at most. */
const MAX_DRAWN = 1024;

/**
 * Random nonces for chunk records, each given out once. They are drawn for one batch when it begins, and none is left
 * for the next (W2): a virtual machine or a process that is resumed twice between batches draws other ones (format.md
 * §7).
 */
export class Nonces {
  readonly #drawn = new Region(MAX_DRAWN * NONCE_SIZE);
  /** How many nonces of the batch are not drawn yet. */
  #undrawn = 0;
  #next = 0;
  #end = 0;

  /**
   * Begins a batch of at most `count` chunks and draws up to 1,024 nonces. Those left of the last batch are dropped.
   */
  begin(count: number): void {
    this.#undrawn = count;
    this.#draw();
  }

  /** Puts a nonce that was never given out at an offset, with zeros for the bits of a sector. */
  take(to: Region, offset: number, geometry: Geometry): void {
    if (this.#next === this.#end) {
      invariant(this.#undrawn > 0, 'W2');
      this.#draw();
    }
    // Three words rather than a copy: this runs for every chunk, and so allocates nothing.
    for (let i = 0; i < NONCE_SIZE; i += 4) {
      to.view.setUint32(offset + i, this.#drawn.view.getUint32(this.#next + i, true), true);
    }
    clearSectorBits(to.view, offset, geometry);
    this.#next += NONCE_SIZE;
  }

  #draw(): void {
    const count = Math.min(this.#undrawn, MAX_DRAWN);
    fillRandom(this.#drawn, 0, count * NONCE_SIZE);
    this.#undrawn -= count;
    this.#next = 0;
    this.#end = count * NONCE_SIZE;
  }
}
