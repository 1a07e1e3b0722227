import { LRUCache } from 'lru-cache';
import { Region } from '../base/native.ts';
import { RECORD_SIZE } from '../format/geometry.ts';

/** An opened chunk (ChunkCipher.open) and its record, kept for the next read of the same chunk. */
export interface CachedChunk {
  readonly data: Region;
  readonly record: Region;
}

/** Opened chunks, the least recently used of them forgotten first, wiped as they go. Bounded in bytes. */
export class ChunkCache {
  readonly #chunkSize: number;
  readonly #chunks: LRUCache<number, CachedChunk>;
  readonly #spare: CachedChunk[] = [];

  /** @param size bytes of chunk data kept at most; at least one chunk is */
  constructor(size: number, chunkSize: number) {
    this.#chunkSize = chunkSize;
    this.#chunks = new LRUCache({
      max: Math.max(1, Math.floor(size / chunkSize)),
      dispose: (chunk) => {
        chunk.data.bytes.fill(0);
        this.#spare.push(chunk);
      },
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
    chunk.data.bytes.fill(0);
    this.#spare.push(chunk);
  }

  /** Wipes all of it. */
  clear(): void {
    this.#chunks.clear();
    this.#spare.length = 0;
  }
}
