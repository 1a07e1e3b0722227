import { Region } from '../base/linux/native.ts';
import { wipe } from '../base/wipe.ts';
import type { XtsKey } from '../crypto/primitives.ts';
import { primitives } from '../crypto/select.ts';
import { readStored, type StoredFile } from './stored-file.ts';

/** Bytes of a page of memory, as a unit of encryption. */
export const PAGE_SIZE = 4096;

/** Bytes that are read at once. A kernel request of 1 MiB never needs more but the edges. */
const RUN_SIZE = (1 << 20) + PAGE_SIZE;

/** Decrypts pages of memory, by AES-256-XTS with one tweak for all. One thread must have it for itself. */
export class PageReader {
  readonly #xts: XtsKey;
  readonly #tweak: Region;
  readonly #stored = new Region(RUN_SIZE);
  /** A page of which only a part was asked for. */
  readonly #bounce = new Region(PAGE_SIZE);

  /** @param key 64 bytes, which are not kept @param iv 16 bytes */
  constructor(key: Uint8Array, iv: Uint8Array) {
    this.#xts = primitives().xts(key);
    this.#tweak = new Region(Uint8Array.from(iv));
  }

  /** Reads plain bytes `offset` to `end`, which the file must have. @throws MalformedError when it became shorter */
  read(file: StoredFile, offset: number, end: number, out: Region, outOffset: number): void {
    for (let position = offset; position < end; ) {
      const first = position - (position % PAGE_SIZE);
      const stop = Math.min(end, first + RUN_SIZE);
      readStored(file, this.#stored, 0, Math.ceil((stop - first) / PAGE_SIZE) * PAGE_SIZE, first);
      this.#decrypt(first, position, stop, out, outOffset + position - offset);
      position = stop;
    }
  }

  /** Wipes what is left of pages, and the key. */
  dispose(): void {
    this.#xts.dispose();
    wipe(this.#bounce.bytes);
  }

  /** Decrypts bytes `start` to `end` of what was read from `first` on. */
  #decrypt(first: number, start: number, end: number, out: Region, outOffset: number): void {
    for (let position = start; position < end; ) {
      const page = position - (position % PAGE_SIZE);
      const stop = Math.min(end, page + PAGE_SIZE);
      const to = outOffset + position - start;
      if (stop - position === PAGE_SIZE) {
        this.#xts.decrypt(this.#tweak, 0, this.#stored, page - first, out, to, PAGE_SIZE);
      } else {
        this.#xts.decrypt(this.#tweak, 0, this.#stored, page - first, this.#bounce, 0, PAGE_SIZE);
        this.#bounce.bytes.copy(out.bytes, to, position - page, stop - page);
      }
      position = stop;
    }
  }
}
