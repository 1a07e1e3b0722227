import { realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { CkptfsError, ioError, systemErrorName } from '../base/errors.ts';
import { Directory } from '../base/linux/directory.ts';
import { syncDirectory } from './local-files.ts';
import { notExchangeable, ReplacementStore } from './replacement-store.ts';
import type { StoreIdentity } from './store.ts';

const SIBLING = '.reencrypt';

/**
 * The name of an image in the directory above it, and the name beside it where the image is made that takes its place
 * (format.md §10). The directory above is held open. Of the two names neither is followed if it is a link.
 */
export class ImagePlace {
  readonly #parent: Directory;
  readonly #path: string;

  private constructor(parent: Directory, path: string) {
    this.#parent = parent;
    this.#path = path;
  }

  /** @throws CkptfsError `missing-feature` for the root directory, `io` */
  static hold(location: string): ImagePlace {
    try {
      const path = realpathSync(location);
      if (path === '/') throw notExchangeable(path, 'it is the root directory');
      return new ImagePlace(Directory.open(dirname(path)), path);
    } catch (cause) {
      throw ioError('open', location, cause);
    }
  }

  get siblingPath(): string {
    return `${this.#path}${SIBLING}`;
  }

  /** Opens the image. @throws CkptfsError `missing-feature` for a mount point, `not-an-image`, `io` */
  openImage(): ReplacementStore {
    try {
      const store = this.#open(this.#path);
      if (store !== undefined) return store;
    } catch (cause) {
      if (systemErrorName(cause) === 'EXDEV') throw notExchangeable(this.#path, 'it is a mount point', cause);
      if (systemErrorName(cause) !== 'ENOTDIR') throw ioError('open', this.#path, cause);
    }
    throw new CkptfsError('not-an-image', `${this.#path} is not a ckptfs image: it is not a directory`, {
      path: this.#path,
      data: { reason: 'not-a-directory' },
    });
  }

  /** Opens what is beside the image; undefined when nothing is. @throws CkptfsError `exists`, `io` */
  openSibling(): ReplacementStore | undefined {
    try {
      return this.#open(this.siblingPath);
    } catch (cause) {
      if (!['ENOTDIR', 'ELOOP', 'EXDEV'].includes(systemErrorName(cause) ?? ''))
        throw ioError('open', this.siblingPath, cause);
      throw new CkptfsError('exists', `${this.siblingPath} exists and is not a directory`, {
        path: this.siblingPath,
        data: { reason: 'not-a-directory' },
        cause,
      });
    }
  }

  /**
   * Removes what is beside the image if it is an empty directory, which the removal of an image may leave.
   * @throws CkptfsError `io`
   */
  removeEmptySibling(): void {
    try {
      this.#parent.rmdir(basename(this.siblingPath));
    } catch (cause) {
      const isOther = ['ENOENT', 'ENOTDIR', 'ENOTEMPTY', 'EEXIST', 'EBUSY'].includes(systemErrorName(cause) ?? '');
      if (!isOther) throw ioError('remove', this.siblingPath, cause);
    }
  }

  /**
   * Swaps the image and what is beside it, durably, if the names still lead to them.
   * @throws CkptfsError `wrong-image` if they do not, `missing-feature`, `io`
   */
  exchange(image: StoreIdentity, sibling: StoreIdentity): void {
    if (!this.#leadsTo(this.#path, image) || !this.#leadsTo(this.siblingPath, sibling)) {
      throw new CkptfsError('wrong-image', `${this.#path} was moved or replaced while it was re-encrypted`, {
        path: this.#path,
        data: { reason: 'replaced' },
      });
    }
    try {
      this.#parent.exchange(basename(this.#path), basename(this.siblingPath));
    } catch (cause) {
      throw ioError('replace', this.#path, cause);
    }
    this.sync();
  }

  /** Makes both names durable. @throws CkptfsError `io` */
  sync(): void {
    syncDirectory(this.#parent);
  }

  close(): void {
    this.#parent.close();
  }

  #open(path: string): ReplacementStore | undefined {
    let directory: Directory;
    try {
      directory = this.#parent.openDirectory(basename(path), { sameMount: true });
    } catch (cause) {
      if (systemErrorName(cause) === 'ENOENT') return undefined;
      throw cause;
    }
    try {
      return new ReplacementStore({ fd: directory.fd, path: join(dirname(this.#path), basename(path)) });
    } finally {
      directory.close();
    }
  }

  #leadsTo(path: string, { device, inode }: StoreIdentity): boolean {
    const found = this.#parent.lstat(basename(path));
    return found?.dev.toString() === device && found.ino.toString() === inode;
  }
}
