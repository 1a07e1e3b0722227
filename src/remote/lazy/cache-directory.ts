import { constants, mkdirSync } from 'node:fs';
import { ioError } from '../../base/errors.ts';
import { tryLockByte, unlockByte } from '../../base/linux/byte-locks.ts';
import { closeDescriptor } from '../../base/linux/descriptors.ts';
import { Directory } from '../../base/linux/directory.ts';
import { checkOwn, FOR_OWNER, openOwn } from './cache-files.ts';
import { BLOCKS, IMAGES, LOCKS, SOCKETS } from './cache-layout.ts';

/**
 * The directory that all fetchers of a user share (cache-layout.ts), held open. Other users cannot change it; what is
 * in it may be anything all the same, as the storage that it is on is not trusted.
 */
export class CacheDirectory {
  readonly path: string;
  readonly #root: Directory;
  readonly blocks: Directory;
  readonly images: Directory;
  readonly sockets: Directory;
  readonly #locks: number;

  private constructor(path: string, root: Directory) {
    const opened: Directory[] = [];
    const open = (name: string): Directory => {
      const directory = openOwn(root, name, path);
      opened.push(directory);
      return directory;
    };
    try {
      [this.blocks, this.images, this.sockets] = [open(BLOCKS), open(IMAGES), open(SOCKETS)];
      this.#locks = root.openFile(LOCKS, constants.O_RDWR | constants.O_CREAT, 0o600);
    } catch (error) {
      for (const directory of opened) directory.close();
      throw error;
    }
    this.path = path;
    this.#root = root;
  }

  /**
   * Opens a cache directory, and makes it where there is none.
   * @param path absolute
   * @throws CkptfsError `io`; `exists` for a directory that another user owns or can change
   */
  static open(path: string): CacheDirectory {
    let root: Directory | undefined;
    try {
      mkdirSync(path, { recursive: true, mode: FOR_OWNER });
      root = Directory.open(path);
      checkOwn(root, path);
      return new CacheDirectory(path, root);
    } catch (cause) {
      root?.close();
      throw ioError('use', path, cause);
    }
  }

  /**
   * Locks a byte that stands for what only one process does at a time. A process that has it already gets it again.
   * @returns false while another process has it; where the file system has no such locks all processes get it
   */
  lock(byte: number): boolean {
    try {
      return tryLockByte(this.#locks, byte);
    } catch {
      return true;
    }
  }

  unlock(byte: number): void {
    try {
      unlockByte(this.#locks, byte);
    } catch {
      // There are no such locks.
    }
  }

  close(): void {
    closeDescriptor(this.#locks);
    for (const directory of [this.blocks, this.images, this.sockets, this.#root]) directory.close();
  }
}
