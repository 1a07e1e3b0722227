import { Errno } from '../../base/errno.ts';
import type { Region } from '../../base/linux/native.ts';
import type { Header } from '../../format/header.ts';
import { ROOT_INODE } from '../../format/manifest.ts';
import type { StoreSpace } from '../../stores/writable-store.ts';
import type { Committer } from './commit/committer.ts';
import type { ContentReader } from './content/content-reader.ts';
import type { ContentWriter } from './content/content-writer.ts';
import type { UnstoredContents } from './content/unstored-contents.ts';
import { ImageNames } from './image-names.ts';
import type { LiveFile } from './model/live-inode.ts';
import type { LiveTree } from './model/live-tree.ts';

export type { DirectoryName, MetadataChanges, NewInode } from './image-names.ts';

/** The parts that a writable image is made of. */
export interface WritableParts {
  readonly header: Header;
  readonly tree: LiveTree;
  readonly reader: ContentReader;
  readonly writer: ContentWriter;
  readonly committer: Committer;
  readonly unstored: UnstoredContents;
  /** Returns milliseconds since 1970. */
  readonly clock: () => number;
  /** Wipes and closes everything. */
  readonly close: () => void;
}

/**
 * An image that is being written: a tree of numbered inodes, of which the root has number 1. Every byte is sealed
 * before it reaches the store. It belongs to one thread. README.md in this folder has the invariants and the
 * states.
 *
 * **What survives.** A frame of the journal has the whole state (W7). Everything done before a {@link commit} that
 * returned survives the end of this process, and before a {@link sync} that returned, loss of power. A change of names
 * or metadata commits before it returns, and so do all contents written before. `write`, `truncate`, `punch` and
 * `extend` wait for the next commit, or until memory runs short.
 *
 * **What fails.** An Errno is a refusal. CkptfsError `io` (its cause has the system error: ENOSPC, EDQUOT, EIO, …)
 * and `damaged` are failures of the store. The call has changed nothing then (W12). What a failed commit should have
 * had is in the next one. Contents that the store refuses wait in memory, and the journal marks their file as lost
 * (W14). Names and metadata can be changed meanwhile. Each `write`, `commit` and `sync` tries again, and fails until
 * they are stored or their file is cut or released. A file does not grow while contents at its end are refused.
 *
 * After something could not be made durable, nothing can be changed any more (W20). Everything can still be read, and
 * `sealImage`, `recoverImage` or another writer can take the image over once it is closed.
 */
export class WritableImage extends ImageNames {
  readonly header: Header;
  readonly unstored: UnstoredContents;
  readonly #reader: ContentReader;
  readonly #writer: ContentWriter;
  readonly #close: () => void;

  /** Only {@link openWritable} calls it. */
  constructor({ header, tree, reader, writer, committer, unstored, clock, close }: WritableParts) {
    super(tree, committer, clock);
    this.header = header;
    this.unstored = unstored;
    this.#reader = reader;
    this.#writer = writer;
    this.#close = close;
  }

  /**
   * Reads into `out` at `outOffset` and returns the number of bytes: `length`, or fewer if the file ends before.
   * @throws Errno ENOENT, EISDIR, EINVAL
   * @throws CkptfsError `damaged`, `io`: `out` has zeros from `outOffset` on
   */
  read(number: number, offset: number, length: number, out: Region, outOffset: number): number {
    return this.#reader.read(this.#file(number), offset, length, out, outOffset);
  }

  /**
   * Writes at most 16 MiB, all of it, and sets the mtime.
   * @throws Errno ENOENT, EISDIR, EINVAL, EFBIG
   * @throws CkptfsError `io`, `damaged`
   */
  write(number: number, offset: number, length: number, from: Region, fromOffset: number): void {
    this.reserve(number, offset, length);
    this.writeReserved(number, offset, length, from, fromOffset);
  }

  /**
   * Does the first half of {@link write}: makes the checks and reserves space.
   * @returns whether the second half reads a stored chunk, which may be damaged
   * @throws Errno ENOENT, EISDIR, EINVAL
   * @throws CkptfsError `io`
   */
  reserve(number: number, offset: number, length: number): boolean {
    const file = this.#file(number);
    this.committer.storeRefused();
    const { chunkSize } = this.header;
    // Each chunk that the write touches gets a new place.
    const chunks = Math.ceil((offset + length) / chunkSize) - Math.floor(offset / chunkSize);
    this.committer.reserve(chunks * chunkSize);
    return this.#writer.reads(file, offset, length);
  }

  /**
   * Does the second half of {@link write}, for which space was reserved.
   * @throws Errno ENOENT, EISDIR, EINVAL, EFBIG
   * @throws CkptfsError `io`, `damaged`
   */
  writeReserved(number: number, offset: number, length: number, from: Region, fromOffset: number): void {
    const file = this.#file(number);
    this.committer.keepBounds();
    this.#writer.write(file, offset, length, from, fromOffset);
    this.#touch(file);
  }

  /**
   * Cuts or lengthens a file and sets the mtime.
   * @throws Errno ENOENT, EISDIR, EINVAL, EFBIG
   * @throws CkptfsError `io`, `damaged`
   */
  truncate(number: number, size: number): void {
    const file = this.#file(number);
    this.committer.keepBounds();
    this.#writer.truncate(file, size);
    this.#touch(file);
  }

  /**
   * Makes a range read as zeros, and its whole sectors holes. The size stays. Sets the mtime.
   * @throws Errno ENOENT, EISDIR, EINVAL
   * @throws CkptfsError `io`, `damaged`
   */
  punch(number: number, offset: number, length: number): void {
    const file = this.#file(number);
    this.committer.keepBounds();
    this.#writer.punch(file, offset, length);
    this.#touch(file);
  }

  /**
   * Lengthens a file by a hole to at least `size` bytes. It reserves no space.
   * @throws Errno ENOENT, EISDIR, EINVAL, EFBIG
   * @throws CkptfsError `io`
   */
  extend(number: number, size: number): void {
    if (size > this.#file(number).size) this.truncate(number, size);
  }

  /** Sets the mtime and ctime of a file, as a change of its contents does. @throws Errno ENOENT, EISDIR, EINVAL */
  touch(number: number): void {
    this.#touch(this.#file(number));
  }

  /**
   * Returns the next offset, from `offset` on, that is in data or in a hole of whole sectors, as lseek(2) does.
   * Undefined means that there is none. The end of the file counts as a hole.
   * @throws Errno ENOENT, EISDIR, EINVAL
   */
  seek(number: number, offset: number, whence: 'data' | 'hole'): number | undefined {
    return this.#reader.seek(this.#file(number), offset, whence);
  }

  /** Removes an inode that has no name, with its contents. Does nothing for any other number. The next frame has it. */
  release(number: number): void {
    const inode = this.tree.inode(number);
    if (inode === undefined || inode.names > 0 || number === ROOT_INODE) return;
    if (inode.type === 'file') this.#writer.drop(inode);
    this.tree.remove(number);
    this.committer.pending.addGone(number);
    this.committer.tryKeepBounds();
  }

  /** Makes all that was done survive the end of this process. @throws CkptfsError `io`: the next commit has it */
  commit(): void {
    this.committer.commit();
  }

  /** Makes all that was done survive loss of power. @throws CkptfsError `io`, as the class describes */
  sync(): void {
    this.committer.sync();
  }

  /** Returns the space of the file system that the image is on. @throws CkptfsError `io` */
  space(): StoreSpace {
    return this.committer.space();
  }

  /**
   * Seals the image, under an epoch higher by one. After that it can only be closed.
   * @throws CkptfsError `io`: it stays unsealed, and nothing is lost
   */
  seal(): void {
    this.committer.seal();
  }

  /**
   * Wipes plaintext and keys, and releases the lock. What was not committed is lost. An image that was not sealed stays
   * unsealed.
   */
  close(): void {
    this.#close();
  }

  #file(number: number): LiveFile {
    const inode = this.known(number);
    if (inode.type === 'directory') throw Errno.of('EISDIR');
    if (inode.type !== 'file') throw Errno.of('EINVAL');
    return inode;
  }

  #touch(file: LiveFile): void {
    file.open = true;
    const now = this.now();
    Object.assign(file, { mtime: now, ctime: now });
    this.committer.pending.touch(file);
  }
}
