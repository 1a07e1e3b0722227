import { Region } from '../../../base/linux/native.ts';
import { wipe } from '../../../base/wipe.ts';
import { LockedPages } from '../../../crypto/locked-pages.ts';

/** One operation needs two chunks at a time. */
const MIN_CHUNKS = 4;

/**
 * Memory for dirty chunks: bounded, outside the heap, locked if the system allows it, and zero where it is free (W16).
 */
export class ChunkPool {
  readonly region: Region;
  /** Whether the system locked it. If not (RLIMIT_MEMLOCK), plaintext may be swapped out. */
  readonly locked: boolean;
  readonly #pages: LockedPages;
  readonly #chunkSize: number;
  readonly #free: number[] = [];

  /** @param size bytes at most, but never less than four chunks */
  constructor(size: number, chunkSize: number) {
    const count = Math.max(MIN_CHUNKS, Math.floor(size / chunkSize));
    this.#pages = new LockedPages(new ArrayBuffer(LockedPages.memoryFor(count * chunkSize)));
    this.region = new Region(this.#pages.bytes);
    this.locked = this.#pages.locked;
    this.#chunkSize = chunkSize;
    for (let index = count - 1; index >= 0; index--) this.#free.push(index * chunkSize);
  }

  /** Takes memory for one chunk. Returns its offset, or undefined when all is taken. */
  take(): number | undefined {
    return this.#free.pop();
  }

  /** Wipes the memory of a chunk and makes it free. */
  giveBack(offset: number): void {
    wipe(this.region.bytes.subarray(offset, offset + this.#chunkSize));
    this.#free.push(offset);
  }

  /** Wipes and unlocks all of it. It must not be used afterwards. */
  close(): void {
    this.#pages.release();
  }
}
