import { LRUCache } from 'lru-cache';
import { Region } from '../../base/linux/native.ts';
import { wipe } from '../../base/wipe.ts';
import { RECORD_SIZE } from '../../format/geometry.ts';

/** A chunk that ChunkCipher.authenticate accepted, and its record, kept for the next read of the same chunk. */
export interface CachedChunk {
  readonly data: Region;
  readonly record: Region;
}

/** Keeps verified chunks up to a number of bytes, and drops the least recently used first. {@link clear} wipes them. */
export class ChunkCache {
  readonly #chunkSize: number;
  readonly #chunks: LRUCache<number, CachedChunk>;
  /** Memory of dropped chunks. The next chunk that is opened there, or {@link clear}, overwrites it. */
  readonly #spare: CachedChunk[] = [];

  /** @param size the most bytes of chunks to keep; at least one chunk is kept */
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

  /** Returns memory to open a chunk into. The caller gives it back to {@link keep} or {@link giveBack}. */
  take(): CachedChunk {
    return this.#spare.pop() ?? { data: new Region(this.#chunkSize), record: new Region(RECORD_SIZE) };
  }

  keep(key: number, chunk: CachedChunk): void {
    this.#chunks.set(key, chunk);
  }

  giveBack(chunk: CachedChunk): void {
    this.#spare.push(chunk);
  }

  /** Drops and wipes all chunks. */
  clear(): void {
    this.#chunks.clear();
    for (const { data } of this.#spare) wipe(data.bytes);
    this.#spare.length = 0;
  }
}
