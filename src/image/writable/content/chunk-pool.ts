import { Region } from '../../../base/linux/native.ts';
import { LockedPages } from '../../../crypto/locked-pages.ts';
import { wipe } from '../../../crypto/wipe.ts';

/** There always are as many: one operation needs two at a time. */
const MIN_CHUNKS = 4;

/** Memory for dirty chunks: bounded, outside the heap, locked as far as the system lets. What is in no use is zeros. */
export class ChunkPool {
  readonly region: Region;
  /** False means that plaintext may be swapped out (RLIMIT_MEMLOCK). */
  readonly locked: boolean;
  readonly #pages: LockedPages;
  readonly #chunkSize: number;
  readonly #free: number[] = [];

  /** @param size bytes, at most; four chunks there always are */
  constructor(size: number, chunkSize: number) {
    const count = Math.max(MIN_CHUNKS, Math.floor(size / chunkSize));
    this.#pages = new LockedPages(new ArrayBuffer(LockedPages.memoryFor(count * chunkSize)));
    this.region = new Region(this.#pages.bytes);
    this.locked = this.#pages.locked;
    this.#chunkSize = chunkSize;
    for (let at = count - 1; at >= 0; at--) this.#free.push(at * chunkSize);
  }

  /** Offset of room for a chunk, or undefined when there is none. */
  take(): number | undefined {
    return this.#free.pop();
  }

  giveBack(offset: number): void {
    wipe(this.region.bytes.subarray(offset, offset + this.#chunkSize));
    this.#free.push(offset);
  }

  /** Wipes all of it; it must not be used afterwards. */
  close(): void {
    this.#pages.release();
  }
}
