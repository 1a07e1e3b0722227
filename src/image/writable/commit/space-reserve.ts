import { ioError } from '../../../base/errors.ts';
import type { WritableStore } from '../../../stores/writable-store.ts';

/** Contents leave one byte in so many of the store free, within these bounds. */
const KEPT_FRACTION = 64;
const MIN_KEPT = 4 << 20;
const MAX_KEPT = 64 << 20;
/** Bytes of contents that are written between two calls of statfs(2). */
const BETWEEN_LOOKS = 1 << 20;

/**
 * Keeps a part of the store free of contents (W17): when it is full for them, the journal can still be written, and the
 * image sealed.
 */
export class SpaceReserve {
  readonly #store: WritableStore;
  readonly #waiting: () => number;
  /** Bytes that may be written before the next call of statfs(2). */
  #granted = 0;

  /** @param waiting returns the bytes of contents that were reserved and are in memory only */
  constructor(store: WritableStore, waiting: () => number) {
    this.#store = store;
    this.#waiting = waiting;
  }

  /**
   * Says that nothing can be written, if the store has no more free than is kept; undefined otherwise.
   * @throws CkptfsError `io`
   */
  shortage(): string | undefined {
    if (this.has(1)) return undefined;
    const { blockSize, freeBlocks } = this.#store.space();
    return `nothing can be written: ${freeBlocks * blockSize} bytes are free, and at least ${MIN_KEPT} are kept free`;
  }

  /** Returns whether so many bytes of contents can be written. @throws CkptfsError `io` */
  has(bytes: number): boolean {
    if (bytes <= this.#granted) return true;
    const { blockSize, blocks, freeBlocks } = this.#store.space();
    const kept = Math.min(MAX_KEPT, Math.max(MIN_KEPT, (blocks * blockSize) / KEPT_FRACTION));
    const free = freeBlocks * blockSize - kept - this.#waiting();
    this.#granted = Math.max(0, Math.min(free, bytes + BETWEEN_LOOKS));
    return bytes <= free;
  }

  /** Reserves space for contents that are about to be written. @throws CkptfsError `io` (ENOSPC) */
  take(bytes: number): void {
    if (!this.has(bytes)) {
      const cause = Object.assign(new Error('what is left is kept for the journal'), { code: 'ENOSPC' });
      throw ioError('write to', this.#store.location, cause);
    }
    this.#granted -= bytes;
  }
}
