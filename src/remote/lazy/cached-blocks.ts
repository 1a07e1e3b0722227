import { constants as fsConstants, fstatSync } from 'node:fs';
import { closeDescriptor } from '../../base/linux/descriptors.ts';
import { Directory } from '../../base/linux/directory.ts';
import { readAt } from '../../base/linux/files.ts';
import type { Region } from '../../base/linux/native.ts';
import { blockFile } from './cache-layout.ts';

/** Packed blocks in the files of the cache, as one thread reads them. Nothing of them is believed but their size. */
export class CachedBlocks {
  readonly #directory: Directory;

  /** @param fd the directory of all blocks; it stays the caller's */
  constructor(fd: number) {
    this.#directory = Directory.fromDescriptor(fd);
  }

  /**
   * Reads a block into the beginning of `to`.
   * @param digest 32 hexadecimal digits
   * @param size its bytes
   * @returns false when there is none of that size, or it cannot be read
   */
  read(digest: string, size: number, to: Region): boolean {
    const { folder, name } = blockFile(digest);
    return this.#inFolder(folder, (blocks) => {
      const fd = blocks.openFile(name, fsConstants.O_RDONLY);
      try {
        const found = fstatSync(fd);
        return found.isFile() && found.size === size && readAt(fd, to, 0, size, 0) === size;
      } finally {
        closeDescriptor(fd);
      }
    });
  }

  /** Removes a block that is not what its name says, if it can. */
  remove(digest: string): void {
    const { folder, name } = blockFile(digest);
    this.#inFolder(folder, (blocks) => {
      blocks.unlink(name);
      return true;
    });
  }

  /** Returns false when something fails: most blocks are not there, and every other one can be fetched. */
  #inFolder(folder: string, work: (blocks: Directory) => boolean): boolean {
    try {
      const blocks = this.#directory.openDirectory(folder);
      try {
        return work(blocks);
      } finally {
        blocks.close();
      }
    } catch {
      return false;
    }
  }
}
