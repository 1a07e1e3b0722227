import { constants as fsConstants, writeFileSync } from 'node:fs';
import { CkptfsError, ioError } from '../base/errors.ts';
import { closeDescriptor } from '../base/linux/descriptors.ts';
import type { Directory } from '../base/linux/directory.ts';
import { makeEmptyDirectory } from './empty-directory.ts';
import { ImageDirectory, prefixOf } from './image-directory.ts';
import {
  createFile,
  openRegularFile,
  openToWrite,
  overwriteFile,
  removeFile,
  syncDirectory,
  type Where,
} from './local-files.ts';
import { lockHeader } from './local-header-lock.ts';
import { JOURNAL_DRAFT, LocalJournalDraft } from './local-journal.ts';
import { LocalLock } from './local-lock.ts';
import { LocalObject, LocalWritableObject } from './local-object.ts';
import { LocalStore } from './local-store.ts';
import type { NamedFile, StoredObject, StoreLock } from './store.ts';
import type { JournalDraft, StoreSpace, WritableObject, WritableStore, WriterLock } from './writable-store.ts';

const { O_RDWR } = fsConstants;

/** An image that is being written, in a directory of this host. */
export class LocalWritableStore extends LocalStore implements WritableStore {
  /** The directories below `objects` in which names came or went since the last {@link syncNames}. */
  readonly #changedPrefixes = new Set<string>();
  /** The journal of an image that is made in one go keeps the name of a draft, which only this store reads. */
  #journal: 'journal' | typeof JOURNAL_DRAFT = 'journal';
  /** Whether the image itself is new, so that its own names have to be made durable as well. */
  #isNew = false;

  /**
   * Makes a store in a directory that is empty, or does not exist although its parent does.
   * @param isForOneGo see `createStore`
   * @throws CkptfsError `exists`, `io`
   */
  static create(path: string, isForOneGo = false): LocalWritableStore {
    const directory = new ImageDirectory(makeEmptyDirectory(path));
    try {
      directory.objects(true);
    } catch (error) {
      directory.close();
      throw error;
    }
    const store = new LocalWritableStore(directory);
    store.#isNew = true;
    if (isForOneGo) store.#journal = JOURNAL_DRAFT;
    return store;
  }

  lock(holder: string): WriterLock {
    return LocalLock.take(this.directory, holder);
  }

  lockHeader(): StoreLock {
    return lockHeader(this.directory);
  }

  createObject(id: string): WritableObject {
    const path = (): string => this.directory.objectPath(id);
    const fd = this.directory.withPrefixOf(id, (prefix) => prefix && this.#create(prefix, id, path), true);
    if (fd === undefined) throw new CkptfsError('internal', `no directory for ${path()}`);
    this.#changedPrefixes.add(prefixOf(id));
    return this.writableObject(path, fd);
  }

  openObjectForWriting(id: string): WritableObject {
    const path = (): string => this.directory.objectPath(id);
    const fd = this.directory.withPrefixOf(id, (prefix) => prefix && openToWrite(prefix, id, path, O_RDWR));
    if (fd === undefined) throw new CkptfsError('damaged', `object ${id} is missing`, { path: path() });
    this.#changedPrefixes.add(prefixOf(id));
    return this.writableObject(path, fd);
  }

  protected writableObject(where: Where, fd: number): WritableObject {
    return new LocalWritableObject(where, fd);
  }

  removeObject(id: string): void {
    this.directory.withPrefixOf(id, (prefix) => {
      if (prefix === undefined) return;
      try {
        removeFile(prefix, id);
      } catch (cause) {
        throw ioError('remove', this.directory.objectPath(id), cause);
      }
    });
    this.#changedPrefixes.add(prefixOf(id));
  }

  publish(name: NamedFile, bytes: Uint8Array): void {
    this.#writeDraft(name, bytes);
    this.#putDraftInPlace(name);
  }

  checkOverwritable(name: NamedFile): void {
    for (const each of [name, draftOf(name)]) {
      const fd = openToWrite(this.directory.root, each, () => this.directory.pathOf(each), O_RDWR);
      if (fd !== undefined) closeDescriptor(fd);
    }
  }

  replaceOverwritten(name: NamedFile, bytes: Uint8Array): void {
    if (this.readDraft(name, bytes.length)?.equals(bytes) !== true) {
      this.#overwrite(draftOf(name));
      this.#writeDraft(name, bytes);
      syncDirectory(this.directory.root);
    }
    this.#overwrite(name);
    this.#putDraftInPlace(name);
  }

  readDraft(name: NamedFile, limit: number): Buffer | undefined {
    return this.read(draftOf(name), limit, () => undefined);
  }

  readJournal(): StoredObject | undefined {
    const path = (): string => this.directory.pathOf(this.#journal);
    const file = openRegularFile(this.directory.root, this.#journal, path);
    return file === undefined ? undefined : new LocalObject(path, file.fd, file.size);
  }

  beginJournal(): JournalDraft {
    return new LocalJournalDraft(this.directory, this.#journal);
  }

  removeJournal(): void {
    this.#remove(this.#journal);
  }

  removeSignatures(): void {
    for (const name of ['signatures.new', 'signatures'] as const) if (this.has(name)) this.#remove(name);
  }

  syncNames(): void {
    for (const prefix of this.#changedPrefixes) {
      const directory = this.directory.openPrefix(prefix);
      try {
        if (directory !== undefined) syncDirectory(directory);
      } finally {
        directory?.close();
      }
    }
    const objects = this.directory.objects();
    if (objects !== undefined && (this.#isNew || this.#changedPrefixes.size > 0)) syncDirectory(objects);
    if (this.#isNew) this.#syncImage();
    this.#changedPrefixes.clear();
    this.#isNew = false;
  }

  space(): StoreSpace {
    try {
      return this.directory.root.space();
    } catch (cause) {
      throw ioError('look at', this.location, cause);
    }
  }

  #writeDraft(name: NamedFile, bytes: Uint8Array): void {
    const { root } = this.directory;
    try {
      removeFile(root, draftOf(name));
      const fd = createFile(root, draftOf(name));
      try {
        writeFileSync(fd, bytes, { flush: true });
      } finally {
        closeDescriptor(fd);
      }
    } catch (cause) {
      throw ioError('write', this.directory.pathOf(name), cause);
    }
  }

  #putDraftInPlace(name: NamedFile): void {
    try {
      this.directory.root.rename(draftOf(name), name);
    } catch (cause) {
      throw ioError('write', this.directory.pathOf(name), cause);
    }
    syncDirectory(this.directory.root);
  }

  #overwrite(name: string): void {
    const path = (): string => this.directory.pathOf(name);
    const fd = openToWrite(this.directory.root, name, path, O_RDWR);
    if (fd !== undefined) overwriteFile(fd, path);
  }

  #remove(name: string): void {
    try {
      removeFile(this.directory.root, name);
    } catch (cause) {
      throw ioError('remove', this.directory.pathOf(name), cause);
    }
    syncDirectory(this.directory.root);
  }

  #create(prefix: Directory, id: string, path: Where): number {
    try {
      return createFile(prefix, id);
    } catch (cause) {
      throw ioError('create', path(), cause);
    }
  }

  #syncImage(): void {
    syncDirectory(this.directory.root);
    try {
      this.directory.root.syncParent();
    } catch (cause) {
      throw ioError('make durable', this.directory.pathOf('..'), cause);
    }
  }
}

/** Returns the name that a file has until it is whole. */
function draftOf(name: NamedFile): string {
  return `${name}.new`;
}
