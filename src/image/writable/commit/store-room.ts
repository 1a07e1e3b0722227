import { ioError } from '../../../base/errors.ts';
import type { WritableStore } from '../../../stores/writable-store.ts';

/** Part of a store that contents leave free, and its bounds in bytes. */
const KEPT_PART = 64;
const LEAST_KEPT = 4 << 20;
const MOST_KEPT = 64 << 20;
/** Bytes of contents between two looks at how much is free. */
const BETWEEN_LOOKS = 1 << 20;

/**
 * Keeps some of a store free of contents: when it is full for them, the journal can still say what was written or removed, and the image can
 * still be sealed.
 */
export class StoreRoom {
  readonly #store: WritableStore;
  readonly #waiting: () => number;
  /** Bytes that may be written before the next look. */
  #granted = 0;

  /** @param waiting bytes of contents that were claimed and are in memory only */
  constructor(store: WritableStore, waiting: () => number) {
    this.#store = store;
    this.#waiting = waiting;
  }

  /** Says that nothing can be written, where the store has no more than is kept free; else undefined. @throws CkptfsError `io` */
  shortage(): string | undefined {
    if (this.has(1)) return undefined;
    const { blockSize, freeBlocks } = this.#store.space();
    return `nothing can be written: ${freeBlocks * blockSize} bytes are free, and at least ${LEAST_KEPT} are kept free`;
  }

  /** Whether so many bytes of contents can be written. @throws CkptfsError `io` */
  has(bytes: number): boolean {
    if (bytes <= this.#granted) return true;
    const { blockSize, blocks, freeBlocks } = this.#store.space();
    const kept = Math.min(MOST_KEPT, Math.max(LEAST_KEPT, (blocks * blockSize) / KEPT_PART));
    const free = freeBlocks * blockSize - kept - this.#waiting();
    this.#granted = Math.max(0, Math.min(free, bytes + BETWEEN_LOOKS));
    return bytes <= free;
  }

  /** To be called before contents are written. @throws CkptfsError `io` (ENOSPC) */
  claim(bytes: number): void {
    if (!this.has(bytes)) {
      const cause = Object.assign(new Error('what is left is kept for the journal'), { code: 'ENOSPC' });
      throw ioError('write to', this.#store.location, cause);
    }
    this.#granted -= bytes;
  }
}
