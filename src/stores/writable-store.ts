import type { Region } from '../base/linux/native.ts';
import type { NamedFile, Store, StoredObject, StoreLock } from './store.ts';

/** A store of an image that is being written, by `encrypt` or through a writable mount. */
export interface WritableStore extends Store {
  /**
   * Takes the lock of a writer, which keeps out other writers, and readers too.
   * @param holder one short line that names this process to others
   * @throws CkptfsError `locked`, which names the writer or the readers; `damaged` when the lock is not a regular file;
   *   `io`
   */
  lock(holder: string): WriterLock;
  /**
   * Keeps other processes from changing the key slots or signing the image until it is released. Readers and writers
   * of contents go on.
   * @throws CkptfsError `locked` while another process changes them; `damaged` when the header is missing or not a
   *   regular file; `io`
   */
  lockHeader(): StoreLock;
  /** Makes an empty object. @throws CkptfsError `io`, also when it exists */
  createObject(id: string): WritableObject;
  /**
   * Opens an object that exists. Another thread may have made it.
   * @throws CkptfsError `damaged` when it is missing or not a regular file, `io`
   */
  openObjectForWriting(id: string): WritableObject;
  /** Removes an object, if it exists. @throws CkptfsError `io` */
  removeObject(id: string): void;
  /** Puts a named file into place in one step, and makes it durable. @throws CkptfsError `io` */
  publish(name: NamedFile, bytes: Uint8Array): void;
  /** Refuses a named file that {@link replaceOverwritten} would refuse. @throws as that */
  checkOverwritable(name: NamedFile): void;
  /**
   * Puts a named file into place, durably, like {@link publish}, and before that overwrites the bytes of the old one
   * where they are; so too those of what an interruption left of writing one. What the file system, the device or a
   * copy keeps of them stays. After an interruption, {@link readDraft} has the new bytes whenever the old ones may be
   * gone, and the same call with them goes on.
   * @throws CkptfsError `io`, also for a file that has a second name; `damaged` when it is not a regular file
   */
  replaceOverwritten(name: NamedFile, bytes: Uint8Array): void;
  /**
   * Returns what an interruption left of putting a named file into place, if that has at most `limit` bytes.
   * @throws CkptfsError `io`; `damaged` when it is not a regular file
   */
  readDraft(name: NamedFile, limit: number): Buffer | undefined;
  /**
   * Removes the signatures, and what an interruption left of writing some, and makes that durable.
   * @throws CkptfsError `io`
   */
  removeSignatures(): void;
  /**
   * Opens the journal for reading. Returns undefined when there is no journal.
   * @throws CkptfsError `damaged` when it is not a regular file, `io`
   */
  readJournal(): StoredObject | undefined;
  /** Begins a new journal. A journal that exists stays until the new one is published. @throws CkptfsError `io` */
  beginJournal(): JournalDraft;
  /** Removes the journal, if there is one, and makes that durable. @throws CkptfsError `io` */
  removeJournal(): void;
  /**
   * Makes the names of all objects durable that were created, opened for writing or removed through this store.
   * @throws CkptfsError `io`
   */
  syncNames(): void;
  /** Returns the space in the file system that the image is on. @throws CkptfsError `io` */
  space(): StoreSpace;
}

export interface WriterLock extends StoreLock {
  /** Says in one clause which readers it does not keep out, and why; undefined when it keeps out all. */
  readonly unseenReaders: string | undefined;
}

export interface StoreSpace {
  /** Bytes. */
  readonly blockSize: number;
  readonly blocks: number;
  /** The blocks that this process can use. */
  readonly freeBlocks: number;
}

export interface WritableObject {
  /** Writes all bytes. @throws CkptfsError `io`; a part of them may then have been written */
  write(from: Region, fromOffset: number, length: number, position: number): void;
  /** Reads like {@link StoredObject.read}. @throws CkptfsError `io` */
  read(to: Region, toOffset: number, length: number, position: number): number;
  /**
   * Gives back the space of these bytes, which then read as zeros. The size stays.
   * @returns false if the file system below cannot do it
   * @throws CkptfsError `io`
   */
  punch(position: number, length: number): boolean;
  /** Cuts or lengthens it to `size` bytes. @throws CkptfsError `io` */
  truncate(size: number): void;
  /**
   * Makes the data and the size durable.
   * @throws CkptfsError `io`: what was written since the last success may be lost, even if a later call succeeds
   */
  sync(): void;
  close(): void;
}

/** A journal that is not in place yet. */
export interface JournalDraft {
  /** Appends all bytes. @throws CkptfsError `io` */
  append(bytes: Uint8Array): void;
  /**
   * Puts it in the place of the journal, and makes it durable. The draft must not be used afterwards.
   * @throws CkptfsError `io`
   */
  publish(): JournalFile;
  /** Removes it. */
  discard(): void;
}

/** The journal in place, open for appending. */
export interface JournalFile {
  /** Bytes. */
  readonly size: number;
  /** Appends all bytes, or cuts the file back to the size that it had. @throws CkptfsError `io` */
  append(bytes: Uint8Array): void;
  /** Makes durable what was appended. @throws CkptfsError `io`, like {@link WritableObject.sync} */
  sync(): void;
  close(): void;
}
