import { CkptfsError, ioError } from '../base/errors.ts';
import { closeDescriptor } from '../base/linux/descriptors.ts';
import { checkVacant } from './empty-directory.ts';
import { openRegularFile, removeFile, syncDirectory } from './local-files.ts';
import { LocalWritableStore } from './local-writable-store.ts';
import { makeMarkedDirectory } from './marked-directory.ts';

/** A write in progress of a whole image (format.md §2); its first and last file (docs/remote.md, Resuming). */
const MARK = 'pull.new';
const MAX_MARK_BYTES = 64;

/** The store of an image that is being fetched, whole or in part. */
export class PulledStore extends LocalWritableStore {
  /**
   * Begins an image in a directory that is empty, or does not exist although its parent does; or goes on with one of
   * the same id that was begun so.
   * @param imageId 32 hexadecimal digits
   * @throws CkptfsError `exists` for anything else, `io`
   */
  static begin(path: string, imageId: string): PulledStore {
    return PulledStore.#continued(path, imageId) ?? PulledStore.#made(path, imageId);
  }

  static #made(path: string, imageId: string): PulledStore {
    return new PulledStore(makeMarkedDirectory(path, MARK, `${imageId}\n`));
  }

  /** Returns undefined where a new image may be made. */
  static #continued(path: string, imageId: string): PulledStore | undefined {
    let occupied: CkptfsError;
    try {
      checkVacant(path);
      return undefined;
    } catch (error) {
      if (!(error instanceof CkptfsError) || error.code !== 'exists' || error.data?.reason !== 'not-empty') throw error;
      occupied = error;
    }
    const store = new PulledStore(path);
    try {
      if (!store.isBegun(imageId)) throw occupied;
      return store;
    } catch (error) {
      store.close();
      throw error;
    }
  }

  /** Tells whether an image of this id was begun here, and is not finished. To be asked again once it is locked. */
  isBegun(imageId: string): boolean {
    const mark = this.read(MARK, MAX_MARK_BYTES, () => undefined)?.toString('latin1');
    // An empty mark is of a pull that ended before it had written anything.
    return (mark === `${imageId}\n` || (mark === '' && !this.has('ckptfs.json'))) && !this.has('journal');
  }

  /**
   * Returns the bytes of an object as far as it is there, holes included.
   * @throws CkptfsError `damaged` for anything but a regular file, `io`
   */
  lengthOf(id: string): number | undefined {
    return this.directory.withPrefixOf(id, (prefix) => {
      const file = prefix && openRegularFile(prefix, id, () => this.directory.objectPath(id));
      if (file === undefined) return undefined;
      closeDescriptor(file.fd);
      return file.size;
    });
  }

  /** Makes of what was fetched an image like any other, once its manifest is in place. @throws CkptfsError `io` */
  finish(): void {
    try {
      removeFile(this.directory.root, MARK);
    } catch (cause) {
      throw ioError('remove', this.directory.pathOf(MARK), cause);
    }
    syncDirectory(this.directory.root);
  }
}
