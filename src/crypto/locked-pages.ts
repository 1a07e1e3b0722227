import { lockPages, MEMORY_PAGE_SIZE, unlockPages } from '../base/linux/memory.ts';
import { Region } from '../base/linux/native.ts';
import { wipe } from '../base/wipe.ts';

/** Space to begin on a page boundary, and to share the last page with nothing else. */
const PADDING = 2 * MEMORY_PAGE_SIZE;

/**
 * Holds memory outside the JavaScript heap, on pages of its own, locked and left out of core dumps as far as the system
 * allows.
 */
export class LockedPages {
  readonly bytes: Uint8Array;
  /** False means that the pages may be swapped out (RLIMIT_MEMLOCK). */
  readonly locked: boolean;
  readonly #address: number;
  readonly #length: number;

  /** @param memory of a length that {@link memoryFor} gave */
  constructor(memory: ArrayBuffer | SharedArrayBuffer) {
    const length = LockedPages.lengthIn(memory);
    const start = new Region(new Uint8Array(memory)).address;
    const offset = (MEMORY_PAGE_SIZE - (start % MEMORY_PAGE_SIZE)) % MEMORY_PAGE_SIZE;
    this.bytes = new Uint8Array(memory, offset, length);
    this.#address = start + offset;
    this.#length = Math.ceil(length / MEMORY_PAGE_SIZE) * MEMORY_PAGE_SIZE;
    this.locked = lockPages(this.#address, this.#length);
  }

  /** Returns how many bytes of memory `length` locked bytes need. */
  static memoryFor(length: number): number {
    return length + PADDING;
  }

  /** Returns how many locked bytes a piece of memory has; the inverse of {@link memoryFor}. */
  static lengthIn(memory: ArrayBuffer | SharedArrayBuffer): number {
    return memory.byteLength - PADDING;
  }

  /** Overwrites the bytes and unlocks the pages. Must be called once only. */
  release(): void {
    wipe(this.bytes);
    unlockPages(this.#address, this.#length);
  }
}
