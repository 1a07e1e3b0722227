/** Bytes of a part that are packed together (docs/remote.md, Layout). */
export const PACKED_BLOCK_SIZE = 262_144;
const PAGE_SIZE = 4096;
const MAP_SIZE = 8;
const ZEROS = Buffer.alloc(PAGE_SIZE);

/** Returns the least and the most bytes that a part has when it is packed. @param length of the part, bytes */
export function packedSizes(length: number): { readonly least: number; readonly most: number } {
  const least = MAP_SIZE * Math.ceil(length / PACKED_BLOCK_SIZE);
  return { least, most: least + length };
}

/**
 * Packs a block of a part: a map of its pages, and those of them that are not zeros.
 * @param block 262,144 bytes or less
 */
export function packBlock(block: Buffer): Buffer {
  const packed = Buffer.allocUnsafe(MAP_SIZE + block.length);
  let [map, size] = [0n, MAP_SIZE];
  for (let at = 0; at < block.length; at += PAGE_SIZE) {
    const page = block.subarray(at, at + PAGE_SIZE);
    if (isZeros(page)) continue;
    map |= 1n << BigInt(at / PAGE_SIZE);
    size += page.copy(packed, size);
  }
  packed.writeBigUInt64LE(map);
  return packed.subarray(0, size);
}

/** Packs a whole part. */
export function packPart(part: Buffer): Buffer {
  const blocks: Buffer[] = [];
  for (let at = 0; at < part.length; at += PACKED_BLOCK_SIZE)
    blocks.push(packBlock(part.subarray(at, at + PACKED_BLOCK_SIZE)));
  return Buffer.concat(blocks);
}

/** Unpacks a part that comes in pieces of any size and is hostile. */
export class PartUnpacker {
  readonly #sink: (block: Buffer) => void;
  readonly #block: Buffer;
  readonly #packed = Buffer.allocUnsafe(MAP_SIZE + PACKED_BLOCK_SIZE);
  /** Bytes of the part that were not unpacked yet. */
  #left: number;
  #filled = 0;
  /** Bytes of the packed block, as far as that is known. */
  #wanted = MAP_SIZE;
  #isWrong = false;

  /**
   * @param length of the part, bytes
   * @param block memory of 262,144 bytes
   * @param sink is given each block in order, in that memory
   */
  constructor(length: number, block: Buffer, sink: (block: Buffer) => void) {
    this.#left = length;
    this.#block = block;
    this.#sink = sink;
  }

  /** Tells whether all of the part came, in its one form, and nothing else. */
  get isWhole(): boolean {
    return !this.#isWrong && this.#left === 0 && this.#filled === 0;
  }

  /** Takes a piece, and looks at none after one that is wrong: {@link isWhole} says so. @throws what the sink throws */
  write(chunk: Buffer): void {
    for (let at = 0; at < chunk.length && !this.#isWrong; ) {
      if (this.#left === 0) this.#isWrong = true;
      const count = chunk.copy(this.#packed, this.#filled, at, at + this.#wanted - this.#filled);
      at += count;
      this.#filled += count;
      if (this.#filled === MAP_SIZE && this.#wanted === MAP_SIZE) this.#wanted += this.#storedBytes();
      if (this.#filled === this.#wanted) this.#unpack();
    }
  }

  get #length(): number {
    return Math.min(PACKED_BLOCK_SIZE, this.#left);
  }

  #isStored(page: number): boolean {
    return ((this.#packed[page >> 3] ?? 0) & (1 << (page & 7))) !== 0;
  }

  #storedBytes(): number {
    let bytes = 0;
    for (let page = 0; page < MAP_SIZE * 8; page++) {
      if (!this.#isStored(page)) continue;
      const size = Math.min(PAGE_SIZE, this.#length - page * PAGE_SIZE);
      if (size <= 0) this.#isWrong = true;
      else bytes += size;
    }
    return bytes;
  }

  #unpack(): void {
    const block = this.#block.subarray(0, this.#length);
    let from = MAP_SIZE;
    for (let at = 0; at < block.length; at += PAGE_SIZE) {
      const page = block.subarray(at, at + PAGE_SIZE);
      if (!this.#isStored(at / PAGE_SIZE)) {
        page.fill(0); // not secret: it is ciphertext
        continue;
      }
      from += this.#packed.copy(page, 0, from, from + page.length);
      if (isZeros(page)) this.#isWrong = true;
    }
    this.#left -= block.length;
    [this.#filled, this.#wanted] = [0, MAP_SIZE];
    if (!this.#isWrong) this.#sink(block);
  }
}

function isZeros(page: Buffer): boolean {
  return page.equals(page.length === PAGE_SIZE ? ZEROS : ZEROS.subarray(0, page.length));
}
