import { Region } from '../../base/linux/native.ts';
import { wipe } from '../../base/wipe.ts';
import { RECORD_SIZE } from '../../format/geometry.ts';
import { LruSlots } from './lru-slots.ts';

/**
 * Keeps chunks that ChunkCipher.authenticate accepted, each with its record, for the next read of the same chunk. Drops
 * the least recently used first. All are in one piece of memory, which the system gives as it is touched.
 */
export class ChunkCache {
  readonly chunks: Region;
  readonly records: Region;
  readonly #chunkSize: number;
  readonly #slots: LruSlots;

  /** @param size the most bytes of chunks to keep; at least one chunk is kept */
  constructor(size: number, chunkSize: number) {
    const count = Math.max(1, Math.floor(size / chunkSize));
    this.#chunkSize = chunkSize;
    this.#slots = new LruSlots(count);
    this.chunks = new Region(count * chunkSize);
    this.records = new Region(count * RECORD_SIZE);
  }

  /** Returns the slot of a chunk, or -1. */
  find(key: number): number {
    return this.#slots.find(key);
  }

  /** Returns the slot to open a chunk into. The caller calls {@link release} if it cannot be opened. */
  claim(key: number): number {
    return this.#slots.claim(key);
  }

  release(slot: number): void {
    this.#slots.release(slot);
  }

  chunkOffset(slot: number): number {
    return slot * this.#chunkSize;
  }

  recordOffset(slot: number): number {
    return slot * RECORD_SIZE;
  }

  /** Drops and wipes all chunks. What was never touched stays so. */
  clear(): void {
    wipe(this.chunks.bytes, 0, this.chunkOffset(this.#slots.used));
    this.#slots.clear();
  }
}
