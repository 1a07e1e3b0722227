import type { Region } from '../base/linux/native.ts';
import type { LocalPlace, NamedDirectory } from './image-directory.ts';

/**
 * Keeps the ciphertext of an image. A store moves bytes and checks none: what it returns is hostile until `image` has
 * authenticated it. It is synchronous for the caller; for what is in a remote store another process fetches. One thread
 * must have an instance for itself.
 */
export interface Store {
  /** The directory or address that it has now, for messages. */
  readonly location: string;
  /** What another thread of this process opens to reach the same store, while this one is open. */
  readonly place: StorePlace;
  /** Identifies this store, whatever its name is now. @throws CkptfsError `io` */
  identity(): StoreIdentity;
  /**
   * Keeps writers out until it is released, as far as the storage has such locks.
   * @throws CkptfsError `locked` while a process writes the image
   */
  lockForReading(): StoreLock;
  /**
   * Reads one of the named files. Returns undefined when it does not exist.
   * @throws CkptfsError `io`; `damaged` when it is longer than `limit` bytes or not a regular file
   */
  readNamed(name: NamedFile, limit: number): Buffer | undefined;
  /**
   * Returns the bytes of a named file, or undefined when it does not exist.
   * @throws CkptfsError `io`; `damaged` when it is not a regular file
   */
  sizeOf(name: NamedFile): number | undefined;
  /** Returns whether a file of that name exists. @throws CkptfsError `io` */
  has(name: NamedFile | 'journal'): boolean;
  /** Returns whether a writer has begun an image here, even if it has no header yet. @throws CkptfsError `io` */
  wasBegun(): boolean;
  /**
   * Opens an object for reading.
   * @param id 32 lower-case hexadecimal digits
   * @throws CkptfsError `damaged` when it does not exist, is not a regular file, or its directory is not one of the
   *   image; `io` when it cannot be opened
   */
  openObject(id: string): StoredObject;
  /**
   * Lists all objects, in no order, and all other files, as paths relative to the image.
   * @throws CkptfsError `damaged` when a directory of objects is something else, `io`
   */
  list(): StoreListing;
  close(): void;
}

export interface StoreListing {
  /** Ids of 32 hexadecimal digits, and bytes that are not in holes, as far as the file system knows. */
  readonly objects: readonly { readonly id: string; readonly size: number }[];
  /** Files and directories that are not those of an image. */
  readonly unexpected: readonly string[];
}

/** Where a store is: what a user writes, or {@link Store.place} of another thread. */
export type StorePlace = LocalPlace;

/** Where an image is: what a user writes, or a directory that stands for what a user writes. */
export type ImagePlace = string | NamedDirectory;

/** Differs between any two stores that a host has at one time. */
export interface StoreIdentity {
  readonly device: string;
  readonly inode: string;
}

export interface StoreLock {
  release(): void;
}

export interface StoredObject {
  /** The number of bytes that it had when it was opened. */
  readonly size: number;
  /**
   * Reads `length` bytes at `position` into `to` at `toOffset`. Returns the number of bytes: fewer only at the end.
   * @throws CkptfsError `io`
   */
  read(to: Region, toOffset: number, length: number, position: number): number;
  close(): void;
}

export type NamedFile = 'ckptfs.json' | 'manifest' | 'signatures';
