import { randomFillSync } from 'node:crypto';
import { Region } from '../../base/native.ts';
import { NONCE_SIZE } from '../../format/record.ts';

/** Nonces drawn at once: the generator costs a microsecond a call. */
const DRAWN = 1024;

/** Random nonces for chunk records, each given out once. */
export class Nonces {
  readonly #drawn = new Region(DRAWN * NONCE_SIZE);
  #next = this.#drawn.length;

  /** Puts a fresh nonce at an offset. */
  take(to: Region, offset: number): void {
    if (this.#next === this.#drawn.length) {
      randomFillSync(this.#drawn.bytes);
      this.#next = 0;
    }
    // Three words rather than a copy: this runs for every chunk, and so allocates nothing.
    for (let i = 0; i < NONCE_SIZE; i += 4) {
      to.view.setUint32(offset + i, this.#drawn.view.getUint32(this.#next + i, true), true);
    }
    this.#next += NONCE_SIZE;
  }
}
