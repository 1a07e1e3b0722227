import { Region } from '../../base/linux/native.ts';
import { PAGE_SIZE } from '../../format/geometry.ts';
import { LruSlots } from './lru-slots.ts';

/** With 16 KiB chunks they lead to 1 GiB of data. */
const MAX_TAG_PAGES = 512;

/** Keeps verified tag pages in one piece of memory, and drops the least recently used first. */
export class TagPages {
  readonly region = new Region(MAX_TAG_PAGES * PAGE_SIZE);
  readonly #slots = new LruSlots(MAX_TAG_PAGES);

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
