import { Region } from '../../base/linux/native.ts';
import { PAGE_SIZE } from '../../format/geometry.ts';
import { LruSlots } from './lru-slots.ts';

/** Pages that get their memory at once: most images have no more, and zeroing that of all takes long. */
const PIECE_PAGES = 64;

/** Keeps verified tag pages, and drops the least recently used first. The page that was asked for last is current. */
export class TagPages {
  readonly #pieces: Region[] = [];
  readonly #slots: LruSlots;
  #slot = 0;

  /** @param size the most bytes of pages to keep; at least one page is kept. They get memory when they are used. */
  constructor(size: number) {
    this.#slots = new LruSlots(Math.max(1, Math.floor(size / PAGE_SIZE)));
  }

  /** The memory that has the current page, at {@link offset}. */
  get region(): Region {
    const piece = Math.floor(this.#slot / PIECE_PAGES);
    this.#pieces[piece] ??= new Region(PIECE_PAGES * PAGE_SIZE);
    return this.#pieces[piece];
  }

  get offset(): number {
    return (this.#slot % PIECE_PAGES) * PAGE_SIZE;
  }

  /** Makes a page the current one. Returns whether it is kept. @param key the group's number among all of the image */
  find(key: number): boolean {
    const slot = this.#slots.find(key);
    if (slot === -1) return false;
    this.#slot = slot;
    return true;
  }

  /** Makes room for a page, which becomes the current one. The caller calls {@link release} if it does not verify. */
  claim(key: number): void {
    this.#slot = this.#slots.claim(key);
  }

  /** Drops the current page. */
  release(): void {
    this.#slots.release(this.#slot);
  }

  clear(): void {
    this.#slots.clear();
  }
}
