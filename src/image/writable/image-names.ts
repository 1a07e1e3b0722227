import { Errno } from '../../base/errno.ts';
import type { RenameMode } from '../../base/names.ts';
import { type Time, timeAt } from '../../base/time.ts';
import { isKeptXattr, type Xattr } from '../../format/xattrs.ts';
import type { Committer } from './commit/committer.ts';
import { keyOf } from './model/children.ts';
import type { LiveInode, LiveMetadata } from './model/live-inode.ts';
import type { LiveTree } from './model/live-tree.ts';
import { Namespace } from './model/namespace.ts';
import { TreeEdit } from './model/tree-edit.ts';
import { xattrsWith, xattrsWithout } from './model/xattr-list.ts';

/** Mode and owner of a new file, directory or symbolic link. */
export interface NewInode {
  /** Permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** Changes of metadata. What is absent stays as it is. */
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
  /** From 1. A name that was added later has a higher one, and keeps it while it is in its directory. */
  readonly serial: number;
}

/** The half of a {@link WritableImage} that is about inodes, names and metadata. Each change commits itself. */
export abstract class ImageNames {
  protected readonly tree: LiveTree;
  protected readonly committer: Committer;
  readonly #names: Namespace;
  readonly #clock: () => number;

  constructor(tree: LiveTree, committer: Committer, clock: () => number) {
    this.tree = tree;
    this.committer = committer;
    this.#names = new Namespace(tree);
    this.#clock = clock;
  }

  /** How many inodes there are, with those that have no name. */
  get inodeCount(): number {
    return this.tree.count;
  }

  /** Returns an inode, which changes as the image does. */
  inode(number: number): Readonly<LiveInode> | undefined {
    return this.tree.inode(number);
  }

  /**
   * Returns the inode that a name leads to, if there is such a name.
   * @throws Errno ENOENT for an unknown directory, ENOTDIR
   */
  lookup(directory: number, name: Uint8Array): number | undefined {
    return this.#names.directory(directory).children.get(keyOf(name))?.inode;
  }

  /**
   * Returns the newest name in a directory with a serial below a bound. A listing begins with infinity and goes on with
   * the serial of the last name, so it does not meet names that are added meanwhile.
   * @throws Errno ENOENT, ENOTDIR
   */
  nameBefore(directory: number, serial: number): DirectoryName | undefined {
    const child = this.#names.directory(directory).children.before(serial);
    return child && { name: Buffer.from(child.key, 'latin1'), inode: child.inode, serial: child.serial };
  }

  /**
   * Returns a path of an inode for messages, empty for the root and for an inode without a name. It walks the whole
   * tree.
   */
  pathOf(number: number): Buffer {
    return Buffer.from(this.tree.pathOf(number).join('/'), 'latin1');
  }

  /**
   * Makes an empty regular file and returns its number.
   * @throws Errno ENOENT, ENOTDIR, EEXIST, EINVAL, ENAMETOOLONG, ENOSPC
   * @throws CkptfsError `io`
   */
  create(parent: number, name: Uint8Array, inode: NewInode): number {
    return this.#edit((edit) => this.#names.make(edit, 'file', parent, name, this.#metadata(inode))).number;
  }

  /** Makes a directory. Like {@link create} otherwise. */
  mkdir(parent: number, name: Uint8Array, inode: NewInode): number {
    return this.#edit((edit) => this.#names.make(edit, 'directory', parent, name, this.#metadata(inode))).number;
  }

  /** Makes a symbolic link. Like {@link create} otherwise. @param target 1 to 4095 bytes without NUL */
  symlink(parent: number, name: Uint8Array, target: Uint8Array, inode: NewInode): number {
    return this.#edit((edit) => this.#names.make(edit, 'symlink', parent, name, this.#metadata(inode), target)).number;
  }

  /** Makes a FIFO or a socket. Like {@link create} otherwise. */
  mknod(parent: number, name: Uint8Array, type: 'fifo' | 'socket', inode: NewInode): number {
    return this.#edit((edit) => this.#names.make(edit, type, parent, name, this.#metadata(inode))).number;
  }

  /**
   * Adds a name to an inode.
   * @throws Errno ENOENT, ENOTDIR, EEXIST, EINVAL, ENAMETOOLONG, EPERM for a directory
   * @throws CkptfsError `io`
   */
  link(inode: number, parent: number, name: Uint8Array): void {
    this.#edit((edit) => this.#names.link(edit, inode, parent, name, this.now()));
  }

  /**
   * Removes a name that is not of a directory. An inode without a name stays until {@link release}, which the caller
   * calls as soon as no process has it open.
   * @throws Errno ENOENT, ENOTDIR, EISDIR
   * @throws CkptfsError `io`
   */
  unlink(parent: number, name: Uint8Array): void {
    this.#edit((edit) => this.#names.unlink(edit, parent, name, this.now()));
  }

  /**
   * Removes the name of an empty directory, which then stays as {@link unlink} says.
   * @throws Errno ENOENT, ENOTDIR, ENOTEMPTY; CkptfsError `io`
   */
  rmdir(parent: number, name: Uint8Array): void {
    this.#edit((edit) => this.#names.rmdir(edit, parent, name, this.now()));
  }

  /**
   * Changes a name. An inode that is replaced stays as {@link unlink} says. Nothing happens when both names lead to one
   * inode.
   * @throws Errno ENOENT, ENOTDIR, EISDIR, EEXIST, ENOTEMPTY, EINVAL for a directory into itself, ENAMETOOLONG
   * @throws CkptfsError `io`
   */
  rename(parent: number, name: Uint8Array, newParent: number, newName: Uint8Array, how: RenameMode = 'replace'): void {
    this.#edit((edit) => this.#names.rename(edit, parent, name, newParent, newName, how, this.now()));
  }

  /** Changes metadata, and so the ctime. @throws Errno ENOENT; CkptfsError `io` */
  setMetadata(number: number, changes: MetadataChanges): void {
    this.#edit((edit) => edit.set(this.known(number), { ...changes, ctime: this.now() }));
  }

  /**
   * Sets an extended attribute.
   * @param name `user.` and 1 to 250 more bytes
   * @throws Errno ENOENT, EEXIST (`create`), ENODATA (`replace`), EPERM for another name, E2BIG, ENOSPC for too
   * many
   * @throws CkptfsError `io`
   */
  setxattr(number: number, name: Uint8Array, value: Uint8Array, how: 'any' | 'create' | 'replace'): void {
    const inode = this.known(number);
    if (!isKeptXattr(name)) throw Errno.of('EPERM');
    const xattrs = xattrsWith(inode.xattrs, name, value, how);
    this.#edit((edit) => edit.set(inode, { xattrs, ctime: this.now() }));
  }

  /** Removes an extended attribute. @throws Errno ENOENT, ENODATA; CkptfsError `io` */
  removexattr(number: number, name: Uint8Array): void {
    const inode = this.known(number);
    const xattrs: readonly Xattr[] = xattrsWithout(inode.xattrs, name);
    this.#edit((edit) => edit.set(inode, { xattrs, ctime: this.now() }));
  }

  /** Returns an inode. @throws Errno ENOENT */
  protected known(number: number): LiveInode {
    const inode = this.tree.inode(number);
    if (inode === undefined) throw Errno.of('ENOENT');
    return inode;
  }

  protected now(): Time {
    return timeAt(this.#clock());
  }

  /** Makes a change of the tree and commits it, or undoes it (W12). */
  #edit<T>(change: (edit: TreeEdit) => T): T {
    this.committer.keepBounds();
    const edit = new TreeEdit(this.tree);
    try {
      const result = change(edit);
      this.committer.commitEdit(edit);
      return result;
    } catch (error) {
      edit.undo();
      throw error;
    }
  }

  #metadata({ mode, uid, gid }: NewInode): LiveMetadata {
    const now = this.now();
    return { mode, uid, gid, atime: now, mtime: now, ctime: now, xattrs: [] };
  }
}
