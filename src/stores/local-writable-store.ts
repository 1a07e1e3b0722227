import fs from 'node:fs';
import { dirname, join } from 'node:path';
import { CkptfsError, ioError } from '../base/errors.ts';
import { makeEmptyDirectory } from './empty-directory.ts';
import { openRegularFile, openToWrite, syncPath } from './local-files.ts';
import { LocalJournalDraft } from './local-journal.ts';
import { LocalLock } from './local-lock.ts';
import { LocalObject, LocalWritableObject } from './local-object.ts';
import { LocalStore, objectPath } from './local-store.ts';
import type { NamedFile, StoredObject } from './store.ts';
import type { JournalDraft, StoreLock, StoreSpace, WritableObject, WritableStore } from './writable-store.ts';

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_RDWR } = fs.constants;

/** An image in a directory of this host, to be written. */
export class LocalWritableStore extends LocalStore implements WritableStore {
  /** Directories in which names came or went since the last {@link syncNames}. */
  readonly #changed = new Set<string>();

  /** Takes a directory that does not exist (its parent does) or is empty. @throws CkptfsError `exists`, `io` */
  static create(directory: string): LocalWritableStore {
    makeEmptyDirectory(directory);
    const objects = join(directory, 'objects');
    try {
      fs.mkdirSync(objects, 0o700);
    } catch (cause) {
      throw ioError('create', objects, cause);
    }
    const store = new LocalWritableStore(directory);
    store.#changed.add(directory).add(dirname(directory));
    return store;
  }

  lock(holder: string): StoreLock {
    return LocalLock.take(this.location, holder);
  }

  createObject(id: string): WritableObject {
    const path = objectPath(this.location, id);
    try {
      fs.mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      const fd = fs.openSync(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
      this.#noteChange(path);
      return new LocalWritableObject(path, fd);
    } catch (cause) {
      throw ioError('create', path, cause);
    }
  }

  openObjectForWriting(id: string): WritableObject {
    const path = objectPath(this.location, id);
    const fd = openToWrite(path, O_RDWR);
    if (fd === undefined) throw new CkptfsError('damaged', `object ${id} is missing`, { path });
    this.#noteChange(path);
    return new LocalWritableObject(path, fd);
  }

  removeObject(id: string): void {
    const path = objectPath(this.location, id);
    try {
      fs.rmSync(path, { force: true });
    } catch (cause) {
      throw ioError('remove', path, cause);
    }
    this.#noteChange(path);
  }

  publish(name: NamedFile, bytes: Uint8Array): void {
    const path = join(this.location, name);
    const draft = `${path}.new`;
    try {
      fs.rmSync(draft, { force: true });
      fs.writeFileSync(draft, bytes, { flag: 'wx', mode: 0o600, flush: true });
      fs.renameSync(draft, path);
    } catch (cause) {
      throw ioError('write', path, cause);
    }
    syncPath(this.location);
  }

  readJournal(): StoredObject | undefined {
    const path = this.#journal;
    const file = openRegularFile(path);
    return file === undefined ? undefined : new LocalObject(path, file.fd, file.size);
  }

  beginJournal(): JournalDraft {
    return new LocalJournalDraft(this.location);
  }

  removeJournal(): void {
    try {
      fs.rmSync(this.#journal, { force: true });
    } catch (cause) {
      throw ioError('remove', this.#journal, cause);
    }
    syncPath(this.location);
  }

  syncNames(): void {
    for (const directory of this.#changed) syncPath(directory);
    this.#changed.clear();
  }

  space(): StoreSpace {
    try {
      const { bsize, blocks, bavail, files, ffree } = fs.statfsSync(this.location);
      return { blockSize: bsize, blocks, freeBlocks: bavail, files, freeFiles: ffree };
    } catch (cause) {
      throw ioError('look at', this.location, cause);
    }
  }

  get #journal(): string {
    return join(this.location, 'journal');
  }

  /** @param object its path; the directory it lies in may itself be new */
  #noteChange(object: string): void {
    this.#changed.add(dirname(object)).add(join(this.location, 'objects'));
  }
}
