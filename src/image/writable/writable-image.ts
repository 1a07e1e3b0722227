import type { Region } from '../../base/linux/native.ts';
import type { Header } from '../../format/header.ts';
import { ROOT_INODE } from '../../format/manifest.ts';
import { type Time, timeAt } from '../../format/time.ts';
import { isKeptXattr, type Xattr } from '../../format/xattrs.ts';
import type { StoreSpace } from '../../stores/writable-store.ts';
import type { Committer } from './commit/committer.ts';
import type { ContentReader } from './content/content-reader.ts';
import type { ContentWriter } from './content/content-writer.ts';
import type { UnstoredContents } from './content/unstored-contents.ts';
import { keyOf } from './model/children.ts';
import { FileError } from './model/file-error.ts';
import type { LiveFile, LiveInode, LiveMetadata } from './model/live-inode.ts';
import type { LiveTree } from './model/live-tree.ts';
import { Namespace, type RenameMode } from './model/namespace.ts';
import { TreeEdit } from './model/tree-edit.ts';
import { xattrsWith, xattrsWithout } from './model/xattr-list.ts';

/** What whoever makes a file, directory or symbolic link says of it. */
export interface NewInode {
  /** Permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** What is not there stays as it is. */
export interface MetadataChanges {
  /** Permission bits. */
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly atime?: Time;
  readonly mtime?: Time;
}

/** A name in a directory. */
export interface DirectoryName {
  /** Raw bytes. */
  readonly name: Buffer;
  readonly inode: number;
  /** From 1; a later name has a higher one, and keeps it as long as it is in its directory. */
  readonly serial: number;
}

/** What a writable image is made of. */
export interface WritableParts {
  readonly header: Header;
  readonly tree: LiveTree;
  readonly reader: ContentReader;
  readonly writer: ContentWriter;
  readonly committer: Committer;
  readonly unstored: UnstoredContents;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  /** Wipes and closes all of it. */
  readonly close: () => void;
}

/**
 * An image that is being written: a tree of inodes with numbers, the root's being 1, whose every byte is sealed before it reaches the
 * store. Belongs to one thread.
 *
 * **What survives.** The journal takes the whole state, or nothing: whatever was done up to a {@link commit} that returned survives the end of
 * this process, up to a {@link sync} loss of power. What changes names or metadata commits before it returns, and with it all contents
 * written before. `write`, `truncate`, `punch` and `extend` do not: they wait for the next commit, at the latest until memory wants it.
 *
 * **What fails.** FileError: refused, nothing has changed. CkptfsError `io` (its cause has the system error: ENOSPC, EDQUOT, EIO, …) and
 * `damaged`: the call has changed nothing; what a failed `commit` was to tell is still to be told, by the next one. Contents that wait in
 * memory and that the store refuses go on waiting, and the journal marks their file as lost. Names and metadata can be changed meanwhile;
 * each `write`, `commit` and `sync` tries again, and fails until they are stored or their file is cut or released; a file of which
 * they cover the end does not grow.
 *
 * When making something durable has failed once, nothing can be changed any more, as nobody knows what of it is on the disk; what can be
 * read still can, and the image is for `sealImage` or `recoverImage` afterwards.
 */
export class WritableImage {
  readonly header: Header;
  readonly unstored: UnstoredContents;
  readonly #tree: LiveTree;
  readonly #names: Namespace;
  readonly #reader: ContentReader;
  readonly #writer: ContentWriter;
  readonly #committer: Committer;
  readonly #clock: () => number;
  readonly #close: () => void;

  /** For {@link openWritable}. */
  constructor({ header, tree, reader, writer, committer, unstored, clock, close }: WritableParts) {
    this.header = header;
    this.#tree = tree;
    this.#names = new Namespace(tree);
    this.#reader = reader;
    this.#writer = writer;
    this.#committer = committer;
    this.unstored = unstored;
    this.#clock = clock;
    this.#close = close;
  }

  /** How many inodes there are, those without a name included. */
  get inodeCount(): number {
    return this.#tree.count;
  }

  /** As it is now, and as it changes; to be looked at only. */
  inode(number: number): Readonly<LiveInode> | undefined {
    return this.#tree.inode(number);
  }

  /** The inode a name leads to. @throws FileError ENOENT when the directory is none, ENOTDIR */
  lookup(directory: number, name: Uint8Array): number | undefined {
    return this.#names.directory(directory).children.get(keyOf(name))?.inode;
  }

  /**
   * The newest name of those in a directory whose serial is below a bound: a listing goes from the newest, with infinity as bound, to the
   * oldest, and meets none that was added meanwhile.
   * @throws FileError ENOENT, ENOTDIR
   */
  nameBefore(directory: number, serial: number): DirectoryName | undefined {
    const child = this.#names.directory(directory).children.before(serial);
    return child && { name: Buffer.from(child.key, 'latin1'), inode: child.inode, serial: child.serial };
  }

  /** A path of an inode for messages, '/' between names; empty for the root and for what has no name. Looks everywhere. */
  pathOf(number: number): Buffer {
    return Buffer.from(this.#tree.pathOf(number).join('/'), 'latin1');
  }

  /** Makes an empty regular file; returns its number. @throws FileError ENOENT, ENOTDIR, EEXIST, EINVAL, ENAMETOOLONG, ENOSPC; CkptfsError `io` */
  create(parent: number, name: Uint8Array, inode: NewInode): number {
    return this.#edit((edit) => this.#names.make(edit, 'file', parent, name, this.#metadata(inode))).number;
  }

  /** As {@link create}. */
  mkdir(parent: number, name: Uint8Array, inode: NewInode): number {
    return this.#edit((edit) => this.#names.make(edit, 'directory', parent, name, this.#metadata(inode))).number;
  }

  /** As {@link create}. @param target 1 to 4095 bytes without NUL */
  symlink(parent: number, name: Uint8Array, target: Uint8Array, inode: NewInode): number {
    return this.#edit((edit) => this.#names.make(edit, 'symlink', parent, name, this.#metadata(inode), target)).number;
  }

  /** Makes a FIFO or a socket. As {@link create}. */
  mknod(parent: number, name: Uint8Array, type: 'fifo' | 'socket', inode: NewInode): number {
    return this.#edit((edit) => this.#names.make(edit, type, parent, name, this.#metadata(inode))).number;
  }

  /** One more name. @throws FileError ENOENT, ENOTDIR, EEXIST, EINVAL, ENAMETOOLONG, EPERM for a directory; CkptfsError `io` */
  link(inode: number, parent: number, name: Uint8Array): void {
    this.#edit((edit) => this.#names.link(edit, inode, parent, name, this.#now()));
  }

  /**
   * Takes a name away. What has no name is there until {@link release}: whoever takes the last one releases it as soon as nobody has it open.
   * @throws FileError ENOENT, ENOTDIR, EISDIR; CkptfsError `io`
   */
  unlink(parent: number, name: Uint8Array): void {
    this.#edit((edit) => this.#names.unlink(edit, parent, name, this.#now()));
  }

  /** See {@link unlink}. @throws FileError ENOENT, ENOTDIR, ENOTEMPTY; CkptfsError `io` */
  rmdir(parent: number, name: Uint8Array): void {
    this.#edit((edit) => this.#names.rmdir(edit, parent, name, this.#now()));
  }

  /**
   * See {@link unlink} for what is replaced. Nothing happens when both names are one inode's.
   * @throws FileError ENOENT, ENOTDIR, EISDIR, EEXIST, ENOTEMPTY, EINVAL for a directory into itself, ENAMETOOLONG; CkptfsError `io`
   */
  rename(parent: number, name: Uint8Array, newParent: number, newName: Uint8Array, how: RenameMode = 'replace'): void {
    this.#edit((edit) => this.#names.rename(edit, parent, name, newParent, newName, how, this.#now()));
  }

  /** Changes metadata, and so the ctime. @throws FileError ENOENT; CkptfsError `io` */
  setMetadata(number: number, changes: MetadataChanges): void {
    this.#edit((edit) => edit.set(this.#inode(number), { ...changes, ctime: this.#now() }));
  }

  /**
   * @param name `user.` and 1 to 250 more bytes
   * @throws FileError ENOENT, EEXIST (`create`), ENODATA (`replace`), EPERM for another name, E2BIG, ENOSPC when there are too many; CkptfsError `io`
   */
  setxattr(number: number, name: Uint8Array, value: Uint8Array, how: 'any' | 'create' | 'replace'): void {
    const inode = this.#inode(number);
    if (!isKeptXattr(name)) throw FileError.of('EPERM');
    const xattrs = xattrsWith(inode.xattrs, name, value, how);
    this.#edit((edit) => edit.set(inode, { xattrs, ctime: this.#now() }));
  }

  /** @throws FileError ENOENT, ENODATA; CkptfsError `io` */
  removexattr(number: number, name: Uint8Array): void {
    const inode = this.#inode(number);
    const xattrs: readonly Xattr[] = xattrsWithout(inode.xattrs, name);
    this.#edit((edit) => edit.set(inode, { xattrs, ctime: this.#now() }));
  }

  /**
   * Reads into `out` at `outOffset` and returns the number of bytes: `length`, or fewer because the file ends there.
   * @throws FileError ENOENT, EISDIR, EINVAL; CkptfsError `damaged`, `io`: `out` then holds zeros from `outOffset` on
   */
  read(number: number, offset: number, length: number, out: Region, outOffset: number): number {
    return this.#reader.read(this.#file(number), offset, length, out, outOffset);
  }

  /** Writes at most 16 MiB, all of it, and sets the mtime. @throws FileError ENOENT, EISDIR, EINVAL, EFBIG; CkptfsError `io`, `damaged` */
  write(number: number, offset: number, length: number, from: Region, fromOffset: number): void {
    this.claim(number, offset, length);
    this.writeClaimed(number, offset, length, from, fromOffset);
  }

  /**
   * The first half of {@link write}: all that can be refused.
   * @returns whether the other half reads what is stored, and so may find it damaged @throws FileError ENOENT, EISDIR, EINVAL; CkptfsError `io`
   */
  claim(number: number, offset: number, length: number): boolean {
    const file = this.#file(number);
    this.#committer.storeRefused();
    const { chunkSize } = this.header;
    // Each chunk that is touched is stored anew.
    const chunks = Math.ceil((offset + length) / chunkSize) - Math.floor(offset / chunkSize);
    this.#committer.makeRoom(chunks * chunkSize);
    return this.#writer.reads(file, offset, length);
  }

  /** The second half. @throws FileError ENOENT, EISDIR, EINVAL, EFBIG; CkptfsError `io`, `damaged` */
  writeClaimed(number: number, offset: number, length: number, from: Region, fromOffset: number): void {
    const file = this.#file(number);
    this.#committer.makeRoom();
    this.#writer.write(file, offset, length, from, fromOffset);
    this.#touch(file);
  }

  /** Cuts or lengthens a file and sets the mtime. @throws FileError ENOENT, EISDIR, EINVAL, EFBIG; CkptfsError `io`, `damaged` */
  truncate(number: number, size: number): void {
    const file = this.#file(number);
    this.#committer.makeRoom();
    this.#writer.truncate(file, size);
    this.#touch(file);
  }

  /** Makes a range read as zeros, of whole sectors a hole; the size stays. Sets the mtime. @throws FileError ENOENT, EISDIR, EINVAL; CkptfsError `io`, `damaged` */
  punch(number: number, offset: number, length: number): void {
    const file = this.#file(number);
    this.#committer.makeRoom();
    this.#writer.punch(file, offset, length);
    this.#touch(file);
  }

  /** Lengthens a file, with a hole, to at least `size` bytes; a larger one stays as it is. No space is reserved. @throws FileError ENOENT, EISDIR, EINVAL, EFBIG; CkptfsError `io` */
  extend(number: number, size: number): void {
    if (size > this.#file(number).size) this.truncate(number, size);
  }

  /** Sets mtime and ctime of a file as any change of its contents does. @throws FileError ENOENT, EISDIR, EINVAL */
  touch(number: number): void {
    this.#touch(this.#file(number));
  }

  /**
   * The next data or hole (whole sectors) at or behind an offset; undefined when there is none before the end, at which there always is a hole.
   * @throws FileError ENOENT, EISDIR, EINVAL
   */
  seek(number: number, offset: number, whence: 'data' | 'hole'): number | undefined {
    return this.#reader.seek(this.#file(number), offset, whence);
  }

  /** Forgets an inode that has no name, with all that it holds; any other, or a number that is none, stays as it is. The next commit tells the journal. */
  release(number: number): void {
    const inode = this.#tree.inode(number);
    if (inode === undefined || inode.names > 0 || number === ROOT_INODE) return;
    if (inode.type === 'file') this.#writer.drop(inode);
    this.#tree.remove(number);
    this.#committer.pending.addGone(number);
    this.#committer.giveBack();
  }

  /** From now on all that was done survives the end of this process. @throws CkptfsError `io`: it is still to be done */
  commit(): void {
    this.#committer.commit();
  }

  /** From now on all that was done survives loss of power. @throws CkptfsError `io`: see the class */
  sync(): void {
    this.#committer.sync();
  }

  /** Of the file system the image lies on. @throws CkptfsError `io` */
  space(): StoreSpace {
    return this.#committer.space();
  }

  /**
   * Makes a sealed image of it, under an epoch higher by one; {@link close} is what remains to be done.
   * @throws CkptfsError `io`: it stays unsealed, and nothing of it is lost
   */
  seal(): void {
    this.#committer.seal();
  }

  /** Wipes all plaintext and keys, and lets others write the image. What was not committed is lost; what was not sealed stays unsealed. */
  close(): void {
    this.#close();
  }

  #edit<T>(change: (edit: TreeEdit) => T): T {
    this.#committer.makeRoom();
    const edit = new TreeEdit(this.#tree);
    try {
      const result = change(edit);
      this.#committer.commitEdit(edit);
      return result;
    } catch (error) {
      edit.undo();
      throw error;
    }
  }

  #inode(number: number): LiveInode {
    const inode = this.#tree.inode(number);
    if (inode === undefined) throw FileError.of('ENOENT');
    return inode;
  }

  #file(number: number): LiveFile {
    const inode = this.#inode(number);
    if (inode.type === 'directory') throw FileError.of('EISDIR');
    if (inode.type !== 'file') throw FileError.of('EINVAL');
    return inode;
  }

  #touch(file: LiveFile): void {
    file.open = true;
    const now = this.#now();
    Object.assign(file, { mtime: now, ctime: now });
    this.#committer.pending.touch(file);
  }

  #metadata({ mode, uid, gid }: NewInode): LiveMetadata {
    const now = this.#now();
    return { mode, uid, gid, atime: now, mtime: now, ctime: now, xattrs: [] };
  }

  #now(): Time {
    return timeAt(this.#clock());
  }
}
