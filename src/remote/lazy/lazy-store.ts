import { createHash } from 'node:crypto';
import { MalformedError } from '../../base/bytes.ts';
import { CkptfsError, ioError } from '../../base/errors.ts';
import { closeDescriptor } from '../../base/linux/descriptors.ts';
import { Directory } from '../../base/linux/directory.ts';
import { readAt } from '../../base/linux/files.ts';
import { Region } from '../../base/linux/native.ts';
import {
  BLOCK_DIGEST_SIZE,
  type BlockPlace,
  BlockTable,
  type ObjectBlocks,
  packedBlockSize,
} from '../../format/block-table.ts';
import { PackedBlock } from '../../format/packed-block.ts';
import { MAX_BLOCK_TABLE_SIZE, MAX_INDEX_SIZE, objectIdOf, parseRemoteIndex } from '../../format/remote-index.ts';
import type { HeldDirectory } from '../../stores/image-directory.ts';
import { openRegularFile } from '../../stores/local-files.ts';
import { LocalStore } from '../../stores/local-store.ts';
import type { StoredObject, StoreListing } from '../../stores/store.ts';
import { corrupt } from '../shared/faults.ts';
import { BlockConnection } from './block-connection.ts';
import { INDEX, TABLE } from './cache-layout.ts';
import { CachedBlocks } from './cached-blocks.ts';

/** How many blocks a thread keeps, of 256 KiB each. */
const KEPT_BLOCKS = 16;
const PAGES_OF_BLOCK = 64;

/** What a thread opens an image in a remote store by, all of which another thread holds open. */
export interface LazyPlace {
  /** The image directory of the stub, which is called by the URL. */
  readonly image: HeldDirectory;
  /** The directory that has the index, the block table and the image directory. */
  readonly stub: number;
  /** The directory of cached blocks. */
  readonly blocks: number;
  /** A connection of this thread alone, see {@link BlockConnection}. */
  readonly connection: number;
}

interface Kept {
  readonly place: BlockPlace;
  readonly packed: PackedBlock;
  readonly memory: Region;
  /** Whether it may have another digest than it should. */
  readonly isFromFile: boolean;
}

/**
 * An image in a remote store. Header, manifest and signatures are in a directory; objects are read by whole packed
 * blocks, from the files of the cache, or over a connection from the process that fetches. Blocks of files are not
 * hashed, as the image authenticates every byte; {@link mend} finds those that are wrong.
 */
export class LazyStore extends LocalStore {
  readonly #table: BlockTable;
  readonly #objects: readonly string[];
  readonly #cached: CachedBlocks;
  readonly #connection: BlockConnection;
  /** The last one was used last. */
  readonly #kept = new Map<number, Kept>();
  readonly #unused: Region[] = [];

  /**
   * @param isGivenUp is asked when a signal comes while a block is waited for: whether to wait no longer
   * @throws CkptfsError `damaged` for an index or a block table that is not one, `io`
   */
  constructor(place: LazyPlace, isGivenUp: () => boolean) {
    super(place.image);
    const stub = Directory.fromDescriptor(place.stub);
    try {
      const index = parseRemoteIndex(readWhole(stub, INDEX, MAX_INDEX_SIZE, this.location));
      this.#objects = index.files.flatMap((file) => objectIdOf(file) ?? []);
      this.#table = new BlockTable(readWhole(stub, TABLE, MAX_BLOCK_TABLE_SIZE, this.location), index);
    } catch (cause) {
      this.close();
      if (!(cause instanceof MalformedError)) throw cause;
      throw corrupt(this.location, `its index or block table is not one: ${cause.message}`, cause);
    }
    this.#cached = new CachedBlocks(place.blocks);
    this.#connection = new BlockConnection(place.connection, this.location, isGivenUp);
  }

  override openObject(id: string): StoredObject {
    const blocks = this.#table.ofObject(id);
    if (blocks === undefined) throw corrupt(this.location, `object ${id} is missing`);
    return {
      size: blocks.size,
      read: (to, toOffset, length, position) => this.#read(blocks, to, toOffset, length, position),
      close: () => undefined,
    };
  }

  override list(): StoreListing {
    return { objects: this.#objects.map((id) => ({ id, size: this.#table.ofObject(id)?.size ?? 0 })), unexpected: [] };
  }

  /**
   * Compares blocks that were read from files with their digests, and removes those that are something else.
   * @returns whether there was one: what could not be authenticated may be read again
   */
  mend(): boolean {
    let wasWrong = false;
    for (const [block, { place, packed, memory, isFromFile }] of this.#kept) {
      if (!isFromFile || digestOf(packed) === place.digest) continue;
      this.#cached.remove(place.digest);
      this.#kept.delete(block);
      this.#unused.push(memory);
      wasWrong = true;
    }
    return wasWrong;
  }

  #read({ first, size }: ObjectBlocks, to: Region, toOffset: number, length: number, position: number): number {
    const { blockSize } = this.#table;
    const count = Math.max(0, Math.min(length, size - position));
    for (let done = 0; done < count; ) {
      const within = (position + done) % blockSize;
      const piece = Math.min(blockSize - within, count - done);
      const block = first + Math.floor((position + done) / blockSize);
      const out = toOffset + done;
      if (this.#table.pagesOf(block) > 0) this.#blockOf(block).copy(to.bytes, out, within, piece);
      else to.bytes.fill(0, out, out + piece); // not secret: it is ciphertext
      done += piece;
    }
    return count;
  }

  #blockOf(block: number): PackedBlock {
    const known = this.#kept.get(block);
    const used = known ?? this.#load(block, this.#table.placeOf(block));
    this.#kept.delete(block);
    this.#kept.set(block, used);
    return used.packed;
  }

  #load(block: number, place: BlockPlace): Kept {
    const memory = this.#memory();
    const parsed = (): PackedBlock | undefined =>
      PackedBlock.from(memory.bytes.subarray(0, place.packedSize), place.length);
    try {
      const cached = this.#cached.read(place.digest, place.packedSize, memory) ? parsed() : undefined;
      if (cached !== undefined) {
        this.#connection.touched(block);
        return { place, packed: cached, memory, isFromFile: true };
      }
      this.#connection.want(block, place.packedSize, memory);
      const packed = parsed();
      if (packed === undefined) throw corrupt(this.location, `block ${block} is not a packed one`);
      return { place, packed, memory, isFromFile: false };
    } catch (error) {
      this.#unused.push(memory);
      throw error;
    }
  }

  /** Returns memory for a packed block: that of the one that was not used for the longest time. */
  #memory(): Region {
    const unused = this.#unused.pop();
    if (unused !== undefined) return unused;
    const [oldest] = this.#kept;
    if (oldest === undefined || this.#kept.size < KEPT_BLOCKS) return new Region(packedBlockSize(PAGES_OF_BLOCK));
    this.#kept.delete(oldest[0]);
    return oldest[1].memory;
  }
}

function digestOf({ packed }: PackedBlock): string {
  return createHash('sha256')
    .update(packed)
    .digest('hex')
    .slice(0, 2 * BLOCK_DIGEST_SIZE);
}

/** @throws CkptfsError `damaged` when there is no such file, or a larger one; `io` */
function readWhole(directory: Directory, name: string, limit: number, location: string): Buffer {
  const file = openRegularFile(directory, name, () => location);
  if (file === undefined) throw corrupt(location, `the cache has no ${name} of it any more`);
  try {
    if (file.size > limit) throw new MalformedError(`it has more than ${limit} bytes`);
    const bytes = new Region(file.size);
    return bytes.bytes.subarray(0, readAt(file.fd, bytes, 0, file.size, 0));
  } catch (cause) {
    throw cause instanceof MalformedError || cause instanceof CkptfsError ? cause : ioError('read', location, cause);
  } finally {
    closeDescriptor(file.fd);
  }
}
