import { MalformedError } from '../../../base/bytes.ts';
import type { InodeEntry, JournalFileInode, JournalInode, NameEntry, UnnameEntry } from '../../../format/journal.ts';
import { ROOT_INODE } from '../../../format/manifest.ts';
import { keyOf } from '../model/children.ts';
import { metadataOf } from '../model/inode-entry.ts';
import { LiveDirectory, LiveFile, type LiveInode, LiveMeeting, LiveSymlink } from '../model/live-inode.ts';
import { LiveTree } from '../model/live-tree.ts';

/** The inodes and names that a journal leads to. Its methods throw MalformedError for a contradiction. */
export class ReplayedTree {
  readonly tree = new LiveTree();

  putInode({ inode: number, value }: InodeEntry): void {
    const known = this.tree.inode(number);
    if (known === undefined) {
      this.tree.add(made(number, value));
      return;
    }
    if (known.type !== value.type) throw new MalformedError(`inode ${number} changes its type`);
    if (known.type === 'symlink' && value.type === 'symlink' && !known.target.equals(value.target)) {
      throw new MalformedError(`inode ${number}, a symbolic link, changes its target`);
    }
    Object.assign(known, metadataOf(value));
    if (known.type === 'file' && value.type === 'file') putFileState(known, value);
  }

  putName({ parent, inode, name }: NameEntry): void {
    this.tree.bind(this.#directory(parent), keyOf(name), this.inode(inode));
  }

  takeName({ parent, name }: UnnameEntry): void {
    if (this.tree.unbind(this.#directory(parent), keyOf(name)) === undefined) {
      throw new MalformedError(`no such name in directory ${parent}`);
    }
  }

  /** Removes an inode and returns it. */
  remove(number: number): LiveInode {
    const inode = this.inode(number);
    if (inode.names > 0) throw new MalformedError(`inode ${number} is removed and has a name`);
    if (inode.type === 'directory' && inode.children.count > 0) {
      throw new MalformedError(`directory ${number} has no name and is not empty`);
    }
    this.tree.remove(number);
    return inode;
  }

  /** Removes the inodes without a name and returns them. */
  removeNameless(): LiveInode[] {
    const nameless = [...this.tree.inodes()].filter(({ names, number }) => names === 0 && number !== ROOT_INODE);
    return nameless.map(({ number }) => this.remove(number));
  }

  inode(number: number): LiveInode {
    const inode = this.tree.inode(number);
    if (inode === undefined) throw new MalformedError(`no inode ${number}`);
    return inode;
  }

  file(number: number): LiveFile {
    const inode = this.inode(number);
    if (inode.type !== 'file') throw new MalformedError(`contents for inode ${number}, which is not a file`);
    return inode;
  }

  /** Checks that one path leads from the root to every directory. */
  check(): void {
    if (this.tree.directory(ROOT_INODE) === undefined) throw new MalformedError('no root directory');
    let unreached = -1;
    for (const { type, names } of this.tree.inodes()) {
      if (type !== 'directory') continue;
      if (names > 1) throw new MalformedError('a directory with two names');
      unreached++;
    }
    this.tree.walk((directory, _key, inode) => {
      if (inode.type !== 'directory') return;
      if (inode.parent !== directory.number)
        throw new MalformedError(`directory ${inode.number} is not in the directory that it was put into last`);
      unreached--;
    });
    if (unreached !== 0) throw new MalformedError('directories that no path from the root leads to');
  }

  #directory(number: number): LiveDirectory {
    const inode = this.inode(number);
    if (inode.type !== 'directory') throw new MalformedError(`a name in inode ${number}, which is not a directory`);
    return inode;
  }
}

function made(number: number, value: JournalInode): LiveInode {
  if (value.type === 'directory') return new LiveDirectory(number, value);
  if (value.type === 'symlink') return new LiveSymlink(number, value, value.target);
  if (value.type !== 'file') return new LiveMeeting(value.type, number, value);
  const file = new LiveFile(number, value);
  putFileState(file, value);
  return file;
}

function putFileState(file: LiveFile, { size, open, lost }: JournalFileInode): void {
  Object.assign(file, { size, open, lost });
}
