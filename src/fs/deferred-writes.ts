import { Errno } from '../base/errno.ts';
import { CkptfsError } from '../base/errors.ts';
import type { Region } from '../base/linux/native.ts';
import type { RenameMode } from '../base/names.ts';
import { MIN_DEFERRED_WRITE } from '../base/tuning.ts';
import type { AllocateMode, AttributeChanges, Attributes, DirectoryEntry } from '../fuse/protocol/filesystem.ts';
import { DeferredWrite } from './deferred-write.ts';
import { ForwardingTree } from './forwarding-tree.ts';
import type { ReservingFileSystem, WriteReserved } from './reserving-file-system.ts';

/** The image below the file system. It throws a CkptfsError where the file system throws an Errno. */
export interface DeferringImage {
  inode(node: number): unknown;
  readonly writeReserved: WriteReserved;
  sync(): void;
  readonly unstored: {
    setRefusedWrite(node: number | undefined): void;
    describe(): string | undefined;
  };
}

/**
 * Answers a large write before it is stored, so that the writer goes on meanwhile: that makes writing in sequence 1.45
 * times as fast. What could refuse the write is asked before, and at most one write is deferred (W15 in
 * image/writable/README.md). If the store fails it, its file is marked as lost, its bytes are kept, and every later
 * write, flush and sync of any file tries again to store it and fails until that succeeds, or its file is cut or
 * removed.
 */
export class DeferredWrites extends ForwardingTree<ReservingFileSystem> {
  readonly #image: DeferringImage;
  readonly #deferred = new DeferredWrite();
  /** Whether the store failed the deferred write, so that its file is marked as lost. */
  #isRefused = false;

  constructor(inner: ReservingFileSystem, image: DeferringImage) {
    super(inner);
    this.#image = image;
  }

  override lookup(parent: number, name: Uint8Array): Attributes {
    return this.#grown(this.inner.lookup(parent, name));
  }

  override getattr(node: number): Attributes {
    return this.#grown(this.inner.getattr(node));
  }

  override read(node: number, offset: number, length: number, out: Region, outOffset: number): number {
    this.#store(node);
    return this.inner.read(node, offset, length, out, outOffset);
  }

  override entryAfter(directory: number, cookie: number): DirectoryEntry | undefined {
    const entry = this.inner.entryAfter(directory, cookie);
    return entry && { ...entry, attributes: this.#grown(entry.attributes) };
  }

  override seek(node: number, offset: number, whence: 'data' | 'hole'): number {
    this.#store(node);
    return this.inner.seek(node, offset, whence);
  }

  override link(node: number, newParent: number, newName: Uint8Array): Attributes {
    return this.#grown(this.inner.link(node, newParent, newName));
  }

  override unlink(parent: number, name: Uint8Array): void {
    this.inner.unlink(parent, name);
    this.#dropOfRemoved();
  }

  override rename(parent: number, name: Uint8Array, newParent: number, newName: Uint8Array, how: RenameMode): void {
    this.inner.rename(parent, name, newParent, newName, how);
    this.#dropOfRemoved();
  }

  /**
   * Gives a deferred write up after the new end of its file, where it cannot be stored but the file can be cut. The
   * size is changed first then, by itself: what fails of the rest must not bring back what was cut off.
   */
  override setattr(node: number, changes: AttributeChanges): Attributes {
    const { size, ...rest } = changes;
    if (size === undefined) return this.#grown(this.inner.setattr(node, changes));
    throwUnlessErrno(this.#failureToStore(node));
    if (this.#deferred.node !== node) return this.inner.setattr(node, changes);
    const attributes = this.inner.setattr(node, { size });
    this.#cut(size);
    return Object.keys(rest).length === 0 ? attributes : this.#grown(this.inner.setattr(node, rest));
  }

  override write(
    node: number,
    offset: number,
    length: number,
    from: Region,
    fromOffset: number,
    killPrivileges: boolean,
  ): void {
    this.#store();
    if (length < MIN_DEFERRED_WRITE) {
      this.inner.write(node, offset, length, from, fromOffset, killPrivileges);
      return;
    }
    const readsStored = this.inner.reserve(node, offset, length, killPrivileges);
    // The program must hear of damage at once, so a write that may meet some is not deferred.
    if (readsStored) this.inner.writeReserved(node, offset, length, from, fromOffset);
    else this.#deferred.defer(node, offset, length, from, fromOffset);
  }

  override allocate(node: number, offset: number, length: number, how: AllocateMode, killPrivileges: boolean): void {
    this.#store(node);
    this.inner.allocate(node, offset, length, how, killPrivileges);
  }

  override flush(node: number): void {
    const failure = this.#failureToStore();
    this.inner.flush(node);
    if (failure !== undefined) throw failure;
  }

  override sync(node: number): void {
    const failure = this.#failureToStore();
    this.inner.sync(node);
    if (failure !== undefined) throw failure;
  }

  override settle(): void {
    const failure = this.#failureToStore();
    this.#deferred.keep();
    this.inner.settle();
    throwUnlessErrno(failure);
  }

  override forget(node: number, lookups: number): void {
    this.inner.forget(node, lookups);
    this.#dropOfRemoved();
  }

  /**
   * Stores what waits, in the deferred write or in the image, for the last time. What the store takes is made durable
   * in any case.
   * @throws CkptfsError `io`, and others of the image's `write`: it names each file of which something is lost
   */
  finish(): void {
    const store = (): void => this.#storeBy((...write) => this.#image.writeReserved(...write));
    const sync = (): void => this.#image.sync();
    let failure = errorOf(store);
    let unsynced = errorOf(sync);
    if (failure !== undefined && unsynced === undefined) {
      // Making the rest durable may have given space back.
      failure = errorOf(store);
      unsynced = errorOf(sync);
    }
    const cause = unsynced ?? failure;
    if (cause === undefined) return;
    const files = this.#image.unstored.describe();
    if (files === undefined) throw cause;
    const lost = `what was written last to ${files} could not be stored and is lost`;
    throw cause.reworded(`${lost}: ${cause.message}`, { aftermath: { state: 'unsealed', lossy: true } });
  }

  /** Wipes a deferred write. The file system must not be used afterwards. */
  close(): void {
    this.#deferred.close();
  }

  /** Returns attributes with the size that the file has once a deferred write is stored. */
  #grown(attributes: Attributes): Attributes {
    const end = this.#deferred.endIn(attributes.node);
    return end > attributes.size ? { ...attributes, size: end } : attributes;
  }

  /**
   * Stores the deferred write, if it is to `node` or no node is given.
   * @throws Errno why it cannot be stored; it waits
   */
  #store(node?: number): void {
    const waiting = this.#deferred.node;
    if (waiting === undefined || (node !== undefined && node !== waiting)) return;
    this.#storeBy((...write) => this.inner.writeReserved(...write));
  }

  /** Like {@link #store}, but returns what it throws. */
  #failureToStore(node?: number): unknown {
    try {
      this.#store(node);
      return undefined;
    } catch (error) {
      return error;
    }
  }

  #storeBy(write: WriteReserved): void {
    const { node } = this.#deferred;
    if (node === undefined) return;
    try {
      this.#deferred.store(write);
    } catch (error) {
      this.#isRefused = true;
      this.#image.unstored.setRefusedWrite(node);
      throw error;
    }
    this.#unmark();
  }

  #cut(size: number): void {
    this.#deferred.cut(size);
    if (this.#deferred.node === undefined) this.#unmark();
  }

  /** Gives the deferred write up when its file no longer exists. */
  #dropOfRemoved(): void {
    const { node } = this.#deferred;
    if (node === undefined || this.#image.inode(node) !== undefined) return;
    this.#deferred.drop();
    this.#unmark();
  }

  #unmark(): void {
    if (this.#isRefused) this.#image.unstored.setRefusedWrite(undefined);
    this.#isRefused = false;
  }
}

function throwUnlessErrno(failure: unknown): void {
  if (failure !== undefined && !(failure instanceof Errno)) throw failure;
}

/** Runs `action` and returns the CkptfsError that it threw, if it threw one. */
function errorOf(action: () => void): CkptfsError | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    if (error instanceof CkptfsError) return error;
    throw error;
  }
}
