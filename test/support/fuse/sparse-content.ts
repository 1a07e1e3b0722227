const blockSize = 4096;

/** The bytes of a file in memory, kept in blocks of 4 KiB; what was never written, or punched out, is a hole. */
export class SparseContent {
  #size = 0;
  readonly #blocks = new Map<number, Buffer>();

  get size(): number {
    return this.#size;
  }

  /** Number of blocks that are no holes. */
  get blocks(): number {
    return this.#blocks.size;
  }

  /** At most `length` bytes; fewer where the file ends. */
  read(offset: number, length: number): Buffer {
    const out = Buffer.alloc(Math.max(0, Math.min(length, this.#size - offset)));
    this.#pieces(offset, out.length, (index, start, end, at) => {
      const block = this.#blocks.get(index);
      if (block !== undefined) block.copy(out, at, start, end);
    });
    return out;
  }

  write(offset: number, bytes: Uint8Array): void {
    this.#pieces(offset, bytes.length, (index, start, end, at) => {
      const block = this.#blocks.get(index) ?? Buffer.alloc(blockSize);
      block.set(bytes.subarray(at, at + end - start), start);
      this.#blocks.set(index, block);
    });
    this.grow(offset + bytes.length);
  }

  grow(size: number): void {
    this.#size = Math.max(this.#size, size);
  }

  resize(size: number): void {
    if (size < this.#size) this.punch(size, this.#size - size);
    this.#size = size;
  }

  /** Makes zeros: holes where whole blocks are affected, or all of a block's bytes in the file. */
  punch(offset: number, length: number): void {
    const end = offset + length;
    for (const [index, block] of this.#blocks) {
      const start = index * blockSize;
      if (start >= end || start + blockSize <= offset) continue;
      const inFile = Math.min(start + blockSize, this.#size);
      if (start >= offset && inFile <= end) this.#blocks.delete(index);
      else block.fill(0, Math.max(0, offset - start), Math.min(blockSize, end - start));
    }
  }

  /** As FileSystem.seek; undefined where that throws ENXIO. */
  seek(offset: number, whence: 'data' | 'hole'): number | undefined {
    if (offset >= this.#size) return undefined;
    const first = Math.floor(offset / blockSize);
    if (whence === 'hole') {
      let index = first;
      while (this.#blocks.has(index)) index++;
      return Math.min(this.#size, Math.max(offset, index * blockSize));
    }
    const next = Math.min(...[...this.#blocks.keys()].filter((index) => index >= first));
    return Number.isFinite(next) ? Math.max(offset, next * blockSize) : undefined;
  }

  /** Cuts a range at the edges of blocks: the block, where in it, and where in the range. */
  #pieces(offset: number, length: number, visit: (index: number, start: number, end: number, at: number) => void) {
    for (let at = 0; at < length; ) {
      const start = (offset + at) % blockSize;
      const end = Math.min(blockSize, start + length - at);
      visit((offset + at - start) / blockSize, start, end, at);
      at += end - start;
    }
  }
}
