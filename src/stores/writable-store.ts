import type { Region } from '../base/linux/native.ts';
import type { NamedFile, Store, StoredObject, StoreLock } from './store.ts';

/** A store that an image is being written to: filled by `encrypt`, or behind a writable mount. */
export interface WritableStore extends Store {
  /**
   * Takes the one lock that writers of an image hold, which keeps readers out, too.
   * @param holder one short line that says who, for others to read
   * @throws CkptfsError `locked` naming who writes or reads; `damaged` when the lock is no file of its own; `io`
   */
  lock(holder: string): WriterLock;
  /** Makes an object, empty; it grows by writing. @throws CkptfsError `io`, also when it exists */
  createObject(id: string): WritableObject;
  /** Opens an object that exists, also on another thread than made it. @throws CkptfsError `damaged` when it is missing or no file of its own, `io` */
  openObjectForWriting(id: string): WritableObject;
  /** @throws CkptfsError `io` */
  removeObject(id: string): void;
  /** Puts a named file into place in one step, durable when it returns. @throws CkptfsError `io` */
  publish(name: NamedFile, bytes: Uint8Array): void;
  /** The journal as it is now, or undefined when there is none. @throws CkptfsError `damaged` when it is no regular file, `io` */
  readJournal(): StoredObject | undefined;
  /** Begins a journal beside the one that is there, if any; that one stays until the draft is published. @throws CkptfsError `io` */
  beginJournal(): JournalDraft;
  /** Durable when it returns; nothing happens where there is none. @throws CkptfsError `io` */
  removeJournal(): void;
  /** Makes durable which objects there are: all that were created, opened for writing or removed through this store. @throws CkptfsError `io` */
  syncNames(): void;
  /** Of the file system that the image lies on. @throws CkptfsError `io` */
  space(): StoreSpace;
}

export interface WriterLock extends StoreLock {
  /** Which readers it does not keep out and why, one clause; undefined when it keeps out all. */
  readonly unseenReaders: string | undefined;
}

export interface StoreSpace {
  /** Bytes. */
  readonly blockSize: number;
  readonly blocks: number;
  /** Those that this process can have. */
  readonly freeBlocks: number;
  readonly files: number;
  readonly freeFiles: number;
}

export interface WritableObject {
  /** Writes all of it. @throws CkptfsError `io`; a part may then have been written */
  write(from: Region, fromOffset: number, length: number, position: number): void;
  /** Fills `to` and returns how many bytes there were: fewer than `length` only at the end. @throws CkptfsError `io` */
  read(to: Region, toOffset: number, length: number, position: number): number;
  /** Gives the room of these bytes back; they read as zeros, and the size stays. @returns false where the file system below cannot; @throws CkptfsError `io` */
  punch(position: number, length: number): boolean;
  /** Cuts or lengthens it to `size` bytes. @throws CkptfsError `io` */
  truncate(size: number): void;
  /** Makes the data and the size durable. @throws CkptfsError `io`: what was written since the last success may then be lost, whatever a later call says */
  sync(): void;
  close(): void;
}

/** A journal that is not in place yet. */
export interface JournalDraft {
  /** @throws CkptfsError `io` */
  append(bytes: Uint8Array): void;
  /** Puts it in place of the journal there was, durable when it returns. The draft must not be used afterwards. @throws CkptfsError `io` */
  publish(): JournalFile;
  /** Removes it. */
  discard(): void;
}

/** The journal in place, open to be added to. */
export interface JournalFile {
  /** Bytes. */
  readonly size: number;
  /** Adds all of it, or throws and cuts the file back to the size it had. @throws CkptfsError `io` */
  append(bytes: Uint8Array): void;
  /** Makes durable what was appended. @throws CkptfsError `io`, and then as {@link WritableObject.sync} */
  sync(): void;
  close(): void;
}
