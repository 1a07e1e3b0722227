import { bind, Region } from '../base/linux/native.ts';
import { wipe } from './wipe.ts';

const getPageSize = bind('getpagesize', 'int', []);
const lock = bind('mlock', 'int', ['uintptr_t', 'size_t']);
const unlock = bind('munlock', 'int', ['uintptr_t', 'size_t']);
const advise = bind('madvise', 'int', ['uintptr_t', 'size_t', 'int']);

/** asm-generic/mman-common.h */
const MADV_DONTDUMP = 16;
const MADV_DODUMP = 17;

const PAGE_SIZE = getPageSize();
/** Space to begin on a page boundary, and to share the last page with nothing else. */
const PADDING = 2 * PAGE_SIZE;

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
    const offset = (PAGE_SIZE - (start % PAGE_SIZE)) % PAGE_SIZE;
    this.bytes = new Uint8Array(memory, offset, length);
    this.#address = start + offset;
    this.#length = Math.ceil(length / PAGE_SIZE) * PAGE_SIZE;
    this.locked = lock(this.#address, this.#length) === 0;
    advise(this.#address, this.#length, MADV_DONTDUMP);
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
    unlock(this.#address, this.#length);
    advise(this.#address, this.#length, MADV_DODUMP);
  }
}
