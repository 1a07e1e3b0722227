import { MalformedError } from '../base/bytes.ts';
import { BLOCK_ENTRY_SIZE, blockSizeFor, countBlocks, objectIdOf, type RemoteIndex } from './remote-index.ts';

/** Bytes of the SHA-256 of a packed block that the table has. */
export const BLOCK_DIGEST_SIZE = 16;
const MAP_SIZE = 8;
const PAGE_SIZE = 4096;
/** The first 16 bytes of the SHA-256 of 8 zero bytes: a block of no pages. */
const EMPTY_DIGEST = Buffer.from('af5570f5a1810b7af78caf4bc70a660f', 'hex');

/** A block of an object, and where it is stored (docs/remote.md, Layout). */
export interface BlockPlace {
  /** The number of its object in `files` of the index. */
  readonly file: number;
  /** Where it begins in the object, bytes. */
  readonly start: number;
  /** Bytes of the object that it has: whole pages. */
  readonly length: number;
  /** How many of its pages are stored; of none, it is all zeros and need not be fetched. */
  readonly pages: number;
  /** Bytes when it is packed. */
  readonly packedSize: number;
  /** The number of its part in `parts` of the file. */
  readonly part: number;
  /** Where it begins in the packed part, bytes. */
  readonly offset: number;
  /** The first 16 bytes of the SHA-256 of the packed block, 32 hexadecimal digits. */
  readonly digest: string;
}

/** The blocks of one object: they follow each other. */
export interface ObjectBlocks {
  /** The number of the object in `files` of the index. */
  readonly file: number;
  readonly first: number;
  readonly count: number;
  /** Bytes of the object. */
  readonly size: number;
}

/** The bytes of a packed block of so many stored pages. */
export function packedBlockSize(pages: number): number {
  return MAP_SIZE + pages * PAGE_SIZE;
}

/** Sets the entry of a block in a table. @param digest the SHA-256 of the packed block, or its first 16 bytes */
export function setBlockEntry(table: Buffer, block: number, packedSize: number, digest: Buffer): void {
  const at = table.writeUInt8((packedSize - MAP_SIZE) / PAGE_SIZE, block * BLOCK_ENTRY_SIZE);
  digest.copy(table, at, 0, BLOCK_DIGEST_SIZE);
}

/** The blocks of all objects of an image, numbered from 0. It takes some 21 bytes for each. */
export class BlockTable {
  /** Bytes of each block of an object but the last one. */
  readonly blockSize: number;
  /** The number of blocks. */
  readonly count: number;
  readonly #entries: Buffer;
  readonly #blocksOfPart: number;
  /** By block: where it begins in its packed part. All parts are small enough for 32 bits. */
  readonly #offsets: Uint32Array;
  /** In ascending order of their first block. */
  readonly #objects: readonly ObjectBlocks[];
  readonly #byId: ReadonlyMap<string, ObjectBlocks>;

  /**
   * Parses a table, which is hostile.
   * @param bytes are kept, and must not be altered
   * @param index as it was parsed
   * @throws MalformedError unless it is one of blocks of this index
   */
  constructor(bytes: Uint8Array, index: RemoteIndex) {
    const { files, partSize } = index;
    this.blockSize = blockSizeFor(partSize);
    this.count = countBlocks(files, partSize);
    if (bytes.length !== this.count * BLOCK_ENTRY_SIZE) throw new MalformedError('it has entries too many or too few');
    this.#entries = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#blocksOfPart = partSize / this.blockSize;
    this.#offsets = new Uint32Array(this.count);
    const objects = new Map<string, ObjectBlocks>();
    let first = 0;
    for (const [file, { name, size }] of files.entries()) {
      const id = objectIdOf({ name });
      if (id === undefined) continue;
      const count = Math.ceil(size / this.blockSize);
      objects.set(id, { file, first, count, size });
      first += count;
    }
    this.#byId = objects;
    this.#objects = [...objects.values()];
    for (const object of this.#objects) this.#place(object, index);
  }

  /** Returns the blocks of an object by its id; undefined when the image does not have it. */
  ofObject(id: string): ObjectBlocks | undefined {
    return this.#byId.get(id);
  }

  /** Returns the number of stored pages of a block. @throws RangeError unless it is one of the image */
  pagesOf(block: number): number {
    return this.#entries.readUInt8(block * BLOCK_ENTRY_SIZE);
  }

  /** @throws RangeError unless it is a block of the image */
  placeOf(block: number): BlockPlace {
    const pages = this.pagesOf(block);
    const { file, first, size } = this.#objectOf(block);
    const start = (block - first) * this.blockSize;
    const at = digestOffset(block);
    return {
      file,
      start,
      length: Math.min(this.blockSize, size - start),
      pages,
      packedSize: packedBlockSize(pages),
      part: Math.floor((block - first) / this.#blocksOfPart),
      offset: this.#offsets[block] ?? 0,
      digest: this.#entries.toString('hex', at, at + BLOCK_DIGEST_SIZE),
    };
  }

  #objectOf(block: number): ObjectBlocks {
    let [low, high] = [0, this.#objects.length - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((this.#objects[middle]?.first ?? 0) <= block) low = middle;
      else high = middle - 1;
    }
    const object = this.#objects[low];
    if (object === undefined) throw new RangeError(`block ${block}`);
    return object;
  }

  /** Finds out where the blocks of an object begin in their packed parts. @throws MalformedError */
  #place({ file, first, count, size }: ObjectBlocks, { files }: RemoteIndex): void {
    for (const [part, { size: packed }] of (files[file]?.parts ?? []).entries()) {
      const begin = part * this.#blocksOfPart;
      let offset = 0;
      for (let block = begin; block < Math.min(count, begin + this.#blocksOfPart); block++) {
        this.#offsets[first + block] = offset;
        const length = Math.min(this.blockSize, size - block * this.blockSize);
        offset += this.#checkedSize(first + block, length);
      }
      if (offset !== packed) throw new MalformedError('its blocks do not add up to their parts');
    }
  }

  #checkedSize(block: number, length: number): number {
    const pages = this.pagesOf(block);
    if (pages * PAGE_SIZE > length) throw new MalformedError('a block has more pages than there are');
    const at = digestOffset(block);
    if (pages === 0 && this.#entries.compare(EMPTY_DIGEST, 0, BLOCK_DIGEST_SIZE, at, at + BLOCK_DIGEST_SIZE) !== 0)
      throw new MalformedError('a block of no pages has another digest than that of one');
    return packedBlockSize(pages);
  }
}

function digestOffset(block: number): number {
  return block * BLOCK_ENTRY_SIZE + 1;
}
