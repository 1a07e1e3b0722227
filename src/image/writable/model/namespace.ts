import { Errno } from '../../../base/errno.ts';
import { MAX_NAME_LENGTH, MAX_TARGET_LENGTH, type RenameMode } from '../../../base/names.ts';
import type { Time } from '../../../base/time.ts';
import { ROOT_INODE } from '../../../format/manifest.ts';
import { keyOf } from './children.ts';
import { LiveDirectory, LiveFile, type LiveInode, LiveMeeting, type LiveMetadata, LiveSymlink } from './live-inode.ts';
import type { LiveTree } from './live-tree.ts';
import type { TreeEdit } from './tree-edit.ts';

/**
 * Changes names by the rules of POSIX. Each operation first makes every check, and then changes the tree by a {@link
 * TreeEdit}.
 */
export class Namespace {
  readonly #tree: LiveTree;

  constructor(tree: LiveTree) {
    this.#tree = tree;
  }

  /** Returns a directory. @throws Errno ENOENT, ENOTDIR */
  directory(number: number): LiveDirectory {
    const inode = this.#tree.inode(number);
    if (inode === undefined) throw Errno.of('ENOENT');
    if (inode.type !== 'directory') throw Errno.of('ENOTDIR');
    return inode;
  }

  /**
   * Makes an inode and its first name. Only a symbolic link has a target.
   * @throws Errno ENOENT, ENOTDIR, EEXIST, EINVAL, ENOSPC
   */
  make(
    edit: TreeEdit,
    type: LiveInode['type'],
    parent: number,
    name: Uint8Array,
    metadata: LiveMetadata,
    target?: Uint8Array,
  ): LiveInode {
    const directory = this.#directoryToAddTo(parent);
    const key = this.#freeKey(directory, name);
    const number = this.#tree.freeNumber();
    if (number === undefined) throw Errno.of('ENOSPC');
    const inode = makeInode(type, number, metadata, target);
    edit.add(inode);
    edit.bind(directory, key, inode);
    changeContents(edit, directory, metadata.ctime);
    return inode;
  }

  /** Adds a name to an inode. @throws Errno ENOENT, ENOTDIR, EEXIST, EINVAL, EPERM */
  link(edit: TreeEdit, number: number, parent: number, name: Uint8Array, now: Time): void {
    const inode = this.#tree.inode(number);
    if (inode?.type === 'directory') throw Errno.of('EPERM');
    if (inode === undefined || inode.names === 0) throw Errno.of('ENOENT');
    const directory = this.#directoryToAddTo(parent);
    edit.bind(directory, this.#freeKey(directory, name), inode);
    edit.set(inode, { ctime: now });
    changeContents(edit, directory, now);
  }

  /** Removes a name that is not of a directory. @throws Errno ENOENT, ENOTDIR, EISDIR */
  unlink(edit: TreeEdit, parent: number, name: Uint8Array, now: Time): void {
    const [directory, key, inode] = this.#child(parent, name);
    if (inode.type === 'directory') throw Errno.of('EISDIR');
    edit.unbind(directory, key);
    edit.set(inode, { ctime: now });
    changeContents(edit, directory, now);
  }

  /** Removes the name of an empty directory. @throws Errno ENOENT, ENOTDIR, ENOTEMPTY */
  rmdir(edit: TreeEdit, parent: number, name: Uint8Array, now: Time): void {
    const [directory, key, inode] = this.#child(parent, name);
    if (inode.type !== 'directory') throw Errno.of('ENOTDIR');
    if (inode.children.count > 0) throw Errno.of('ENOTEMPTY');
    edit.unbind(directory, key);
    edit.set(inode, { ctime: now });
    changeContents(edit, directory, now);
  }

  /**
   * Changes a name.
   * @throws Errno ENOENT, ENOTDIR, EISDIR, EEXIST, ENOTEMPTY, EINVAL for a directory into itself
   */
  rename(
    edit: TreeEdit,
    parent: number,
    name: Uint8Array,
    newParent: number,
    newName: Uint8Array,
    how: RenameMode,
    now: Time,
  ): void {
    const [from, key, inode] = this.#child(parent, name);
    const to = this.#directoryToAddTo(newParent);
    const newKey = checkedKey(newName);
    const other = this.#tree.inode(to.children.get(newKey)?.inode ?? 0);
    if (other !== undefined && how === 'no-replace') throw Errno.of('EEXIST');
    if (other === undefined && how === 'exchange') throw Errno.of('ENOENT');
    if (this.#isWithin(to, inode)) throw Errno.of('EINVAL');
    if (other === inode) return;
    if (other !== undefined && how === 'exchange') {
      if (this.#isWithin(from, other)) throw Errno.of('EINVAL');
      edit.bind(from, key, other);
    } else {
      if (other !== undefined) checkReplaceable(other, inode);
      edit.unbind(from, key);
    }
    edit.bind(to, newKey, inode);
    edit.set(inode, { ctime: now });
    if (other !== undefined) edit.set(other, { ctime: now });
    changeContents(edit, from, now);
    if (to !== from) changeContents(edit, to, now);
  }

  /** Returns a directory that takes new names. One that was removed does not. */
  #directoryToAddTo(number: number): LiveDirectory {
    const directory = this.directory(number);
    if (directory.names === 0 && number !== ROOT_INODE) throw Errno.of('ENOENT');
    return directory;
  }

  #freeKey(directory: LiveDirectory, name: Uint8Array): string {
    const key = checkedKey(name);
    if (directory.children.get(key) !== undefined) throw Errno.of('EEXIST');
    return key;
  }

  #child(parent: number, name: Uint8Array): readonly [LiveDirectory, string, LiveInode] {
    const directory = this.directory(parent);
    const key = checkedKey(name);
    const inode = this.#tree.inode(directory.children.get(key)?.inode ?? 0);
    if (inode === undefined) throw Errno.of('ENOENT');
    return [directory, key, inode];
  }

  /** Returns whether a directory is another one or is below it. */
  #isWithin(directory: LiveDirectory, other: LiveInode): boolean {
    for (let ancestor = directory; ; ) {
      if (ancestor === other) return true;
      if (ancestor.number === ROOT_INODE) return false;
      ancestor = this.directory(ancestor.parent);
    }
  }
}

/** Returns the key of a name, if it is valid. @throws Errno EINVAL, ENAMETOOLONG */
function checkedKey(name: Uint8Array): string {
  if (name.length > MAX_NAME_LENGTH) throw Errno.of('ENAMETOOLONG');
  const key = keyOf(name);
  if (key === '' || key === '.' || key === '..' || key.includes('/') || key.includes('\0')) throw Errno.of('EINVAL');
  return key;
}

function checkReplaceable(replaced: LiveInode, by: LiveInode): void {
  if (replaced.type === 'directory') {
    if (by.type !== 'directory') throw Errno.of('EISDIR');
    if (replaced.children.count > 0) throw Errno.of('ENOTEMPTY');
  } else if (by.type === 'directory') throw Errno.of('ENOTDIR');
}

function makeInode(
  type: LiveInode['type'],
  number: number,
  metadata: LiveMetadata,
  target: Uint8Array = new Uint8Array(),
): LiveInode {
  // The process that makes a file has it open.
  if (type === 'file') return Object.assign(new LiveFile(number, metadata), { open: true });
  if (type === 'directory') return new LiveDirectory(number, metadata);
  if (type !== 'symlink') return new LiveMeeting(type, number, metadata);
  if (target.length < 1 || target.length > MAX_TARGET_LENGTH || target.includes(0)) throw Errno.of('EINVAL');
  return new LiveSymlink(number, metadata, Buffer.from(target));
}

/** Sets the times of a directory whose names changed. */
function changeContents(edit: TreeEdit, directory: LiveDirectory, now: Time): void {
  edit.set(directory, { mtime: now, ctime: now });
}
