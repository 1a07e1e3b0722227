import { bind, Region } from '../base/native.ts';
import { wipe } from './wipe.ts';

const getPageSize = bind('getpagesize', 'int', []);
const lock = bind('mlock', 'int', ['uintptr_t', 'size_t']);
const unlock = bind('munlock', 'int', ['uintptr_t', 'size_t']);
const advise = bind('madvise', 'int', ['uintptr_t', 'size_t', 'int']);

/** asm-generic/mman-common.h */
const MADV_DONTDUMP = 16;
const MADV_DODUMP = 17;

const pageSize = getPageSize();
/** Room to start on a page of its own and to let nothing else share the last one. */
const padding = 2 * pageSize;

/** Memory outside the JavaScript heap, on pages of its own that are locked and left out of core dumps as far as the system lets. */
export class LockedPages {
  readonly bytes: Uint8Array;
  /** False means that they may be swapped out (RLIMIT_MEMLOCK). */
  readonly locked: boolean;
  readonly #address: number;
  readonly #length: number;

  /** @param memory of a length that {@link memoryFor} gave */
  constructor(memory: ArrayBuffer | SharedArrayBuffer) {
    const length = LockedPages.lengthIn(memory);
    const start = new Region(new Uint8Array(memory)).address;
    const offset = (pageSize - (start % pageSize)) % pageSize;
    this.bytes = new Uint8Array(memory, offset, length);
    this.#address = start + offset;
    this.#length = Math.ceil(length / pageSize) * pageSize;
    this.locked = lock(this.#address, this.#length) === 0;
    advise(this.#address, this.#length, MADV_DONTDUMP);
  }

  /** Bytes of memory that are needed for `length` locked ones. */
  static memoryFor(length: number): number {
    return length + padding;
  }

  /** The inverse of {@link memoryFor}. */
  static lengthIn(memory: ArrayBuffer | SharedArrayBuffer): number {
    return memory.byteLength - padding;
  }

  /** Overwrites the bytes and gives the pages back. To be called once. */
  release(): void {
    wipe(this.bytes);
    unlock(this.#address, this.#length);
    advise(this.#address, this.#length, MADV_DODUMP);
  }
}
