import { LRUCache } from 'lru-cache';
import { type CkptfsError, ioError } from '../../base/errors.ts';
import type { Directory } from '../../base/linux/directory.ts';
import { timeAt } from '../../base/time.ts';
import { hasDigest } from './block-digest.ts';
import { openOwn, putFile, readExactFile } from './cache-files.ts';
import { blockFile } from './cache-layout.ts';

/** Blocks that could not be written; each takes 256 KiB at most. */
const MAX_KEPT = 64;

/** A block as the cache knows it. */
export interface CachedBlock {
  /** 32 hexadecimal digits. */
  readonly digest: string;
  readonly packedSize: number;
}

/** Who hears what becomes of the files. */
export interface CacheListener {
  /** Bytes were written. */
  wrote(bytes: number): void;
  /** A write failed; it hears of the first one of some that do. */
  failed(error: CkptfsError): void;
}

/**
 * Packed blocks in files, each under its digest, by which alone it is believed: nothing is made durable, and after a
 * loss of power there may be garbage. A block that cannot be written is kept in memory for a while.
 */
export class BlockCache {
  readonly #blocks: Directory;
  readonly #hears: CacheListener;
  readonly #kept = new LRUCache<string, Buffer>({ max: MAX_KEPT });
  /** Whether the last block could not be written: a full disk is told once. */
  #isFaulty = false;

  constructor(blocks: Directory, hears: CacheListener) {
    this.#blocks = blocks;
    this.#hears = hears;
  }

  /** Tells whether a block seems to be there: its bytes are not read. */
  has({ digest, packedSize }: CachedBlock): boolean {
    const found = this.#in(digest, (folder, name) => folder.lstat(name));
    return (found?.isFile() === true && Number(found.size) === packedSize) || this.#kept.has(digest);
  }

  /** Returns the bytes of a block if they are there. Removes what is there in their place. */
  read({ digest, packedSize }: CachedBlock): Buffer | undefined {
    const found = this.#in(digest, (folder, name) => {
      const packed = readExactFile(folder, name, packedSize);
      if (packed !== undefined && hasDigest(packed, digest)) return packed;
      folder.unlink(name);
      return undefined;
    });
    return found ?? this.#kept.get(digest);
  }

  /**
   * Keeps a block: in a file where that is possible, which has its name when it has all its bytes.
   * @param packed has the digest
   * @returns whether it is in a file
   */
  write(digest: string, packed: Buffer): boolean {
    const { folder, name } = blockFile(digest);
    try {
      const directory = openOwn(this.#blocks, folder, this.#blocks.path());
      try {
        putFile(directory, name, packed);
      } finally {
        directory.close();
      }
      this.#isFaulty = false;
      this.#hears.wrote(packed.length);
      this.#kept.delete(digest);
      return true;
    } catch (cause) {
      if (!this.#isFaulty) this.#hears.failed(ioError('write to', this.#blocks.path(), cause));
      this.#isFaulty = true;
      this.#kept.set(digest, packed);
      return false;
    }
  }

  /** Notes that a block was used just now, so that others are removed before it. */
  touch(digest: string): void {
    const now = timeAt(Date.now());
    this.#in(digest, (folder, name) => folder.utimes(name, now, now));
  }

  /** Returns undefined for what fails: the file is not there then, or is as good as that. */
  #in<T>(digest: string, use: (folder: Directory, name: string) => T): T | undefined {
    const { folder, name } = blockFile(digest);
    try {
      const directory = this.#blocks.openDirectory(folder);
      try {
        return use(directory, name);
      } finally {
        directory.close();
      }
    } catch {
      return undefined;
    }
  }
}
