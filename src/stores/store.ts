import type { Region } from '../base/linux/native.ts';
import type { LocalPlace } from './image-directory.ts';

/**
 * Where an image's ciphertext lies. A store moves bytes and believes nothing: what it returns is hostile until the image
 * layer has authenticated it. Synchronous for the caller; a remote store waits on its own thread. One instance belongs to one thread.
 */
export interface Store {
  /** For messages: the directory or address, where it is now. */
  readonly location: string;
  /** What another thread of this process opens to get at the very same store, while this one is open. */
  readonly place: StorePlace;
  /** Says which store this is, whatever its name is by now. @throws CkptfsError `io` */
  identity(): StoreIdentity;
  /**
   * Keeps writers out until it is released, as far as the storage has such locks.
   * @throws CkptfsError `locked` while one writes
   */
  lockForReading(): StoreLock;
  /**
   * The whole of one of the two named files, or undefined when it does not exist.
   * @throws CkptfsError `io`; `damaged` when it is longer than `limit` bytes or no regular file
   */
  readNamed(name: NamedFile, limit: number): Buffer | undefined;
  /** Bytes of a named file, or undefined when it does not exist. @throws CkptfsError `io`; `damaged` when it is no regular file */
  sizeOf(name: NamedFile): number | undefined;
  /** Whether something of that name exists. @throws CkptfsError `io` */
  has(name: NamedFile | 'journal'): boolean;
  /** Whether a writer has begun an image here, though perhaps not come as far as its header. @throws CkptfsError `io` */
  begun(): boolean;
  /**
   * @param id 32 lower-case hexadecimal digits
   * @throws CkptfsError `damaged` when it does not exist, is no regular file, or what leads to it is no directory of the
   * image, `io` when it cannot be opened
   */
  openObject(id: string): StoredObject;
  /**
   * Lists every object there is, in no order, and whatever else lies among them (as a path relative to the image).
   * @throws CkptfsError `damaged` when something else stands where objects are looked for, `io`
   */
  list(): StoreListing;
  close(): void;
}

export interface StoreListing {
  /** Ids of 32 hexadecimal digits, and bytes without those of holes, as far as the file system tells. */
  readonly objects: readonly { readonly id: string; readonly size: number }[];
  /** Files and directories that are not those of an image. */
  readonly unexpected: readonly string[];
}

/** Where a store is: what a user writes, or what {@link Store.place} of another thread says. */
export type StorePlace = LocalPlace;

/** Compares equal for one store alone, among those that a host has at one time. */
export interface StoreIdentity {
  readonly device: string;
  readonly inode: string;
}

export interface StoreLock {
  release(): void;
}

export interface StoredObject {
  /** Bytes, when it was opened. */
  readonly size: number;
  /**
   * Fills `to` from `toOffset` with `length` bytes at `position` and returns how many there were: fewer only at the end.
   * @throws CkptfsError `io`
   */
  read(to: Region, toOffset: number, length: number, position: number): number;
  close(): void;
}

export type NamedFile = 'ckptfs.json' | 'manifest';
