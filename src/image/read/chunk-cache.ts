import { LRUCache } from 'lru-cache';
import { Region } from '../../base/linux/native.ts';
import { wipe } from '../../base/wipe.ts';
import { RECORD_SIZE } from '../../format/geometry.ts';

/** A chunk that ChunkCipher.authenticate accepted, and its record, kept for the next read of the same chunk. */
export interface CachedChunk {
  readonly data: Region;
  readonly record: Region;
}

/** Opened chunks, the least recently used of them forgotten first. Bounded in bytes, wiped by {@link clear}. */
export class ChunkCache {
  readonly #chunkSize: number;
  readonly #chunks: LRUCache<number, CachedChunk>;
  /** Memory of chunks that were forgotten. What is in it is overwritten by the next chunk that is opened there, or by clear. */
  readonly #spare: CachedChunk[] = [];

  /** @param size bytes of chunk data kept at most; at least one chunk is */
  constructor(size: number, chunkSize: number) {
    this.#chunkSize = chunkSize;
    this.#chunks = new LRUCache({
      max: Math.max(1, Math.floor(size / chunkSize)),
      dispose: (chunk) => this.#spare.push(chunk),
    });
  }

  get(key: number): CachedChunk | undefined {
    return this.#chunks.get(key);
  }

  /** Memory for a chunk to be opened into; give it back through {@link keep} or {@link giveBack}. */
  take(): CachedChunk {
    return this.#spare.pop() ?? { data: new Region(this.#chunkSize), record: new Region(RECORD_SIZE) };
  }

  keep(key: number, chunk: CachedChunk): void {
    this.#chunks.set(key, chunk);
  }

  giveBack(chunk: CachedChunk): void {
    this.#spare.push(chunk);
  }

  /** Forgets and wipes all of it. */
  clear(): void {
    this.#chunks.clear();
    for (const { data } of this.#spare) wipe(data.bytes);
    this.#spare.length = 0;
  }
}
