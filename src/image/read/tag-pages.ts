import { Region } from '../../base/linux/native.ts';
import { PAGE_SIZE } from '../../format/geometry.ts';
import { LruSlots } from './lru-slots.ts';

/** Keeps verified tag pages in one piece of memory, and drops the least recently used first. */
export class TagPages {
  readonly region: Region;
  readonly #slots: LruSlots;

  /** @param size the most bytes of pages to keep; at least one page is kept. The system gives them as they are used. */
  constructor(size: number) {
    const count = Math.max(1, Math.floor(size / PAGE_SIZE));
    this.region = new Region(count * PAGE_SIZE);
    this.#slots = new LruSlots(count);
  }

  /** Returns the offset of a page, or -1. @param key the number of its group among all groups of the image */
  find(key: number): number {
    const slot = this.#slots.find(key);
    return slot === -1 ? -1 : slot * PAGE_SIZE;
  }

  /** Returns the offset to read a page to. The caller calls {@link release} if it does not verify. */
  claim(key: number): number {
    return this.#slots.claim(key) * PAGE_SIZE;
  }

  release(offset: number): void {
    this.#slots.release(offset / PAGE_SIZE);
  }

  clear(): void {
    this.#slots.clear();
  }
}
