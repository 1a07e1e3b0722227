import { MalformedError } from '../../../base/bytes.ts';
import type { InodeEntry, JournalFileInode, JournalInode, NameEntry, UnnameEntry } from '../../../format/journal.ts';
import { ROOT_INODE } from '../../../format/manifest.ts';
import { keyOf } from '../model/children.ts';
import { metadataOf } from '../model/inode-entry.ts';
import { LiveDirectory, LiveFile, type LiveInode, LiveMeeting, LiveSymlink } from '../model/live-inode.ts';
import { LiveTree } from '../model/live-tree.ts';

/** Inodes and names as a journal tells them; everything throws MalformedError for what contradicts the tree there is. */
export class ReplayedTree {
  readonly tree = new LiveTree();

  putInode({ inode: number, value }: InodeEntry): void {
    const known = this.tree.inode(number);
    if (known === undefined) {
      this.tree.add(made(number, value));
      return;
    }
    if (known.type !== value.type) throw new MalformedError('inode of two types');
    if (known.type === 'symlink' && value.type === 'symlink' && !known.target.equals(value.target)) {
      throw new MalformedError('symbolic link of two targets');
    }
    Object.assign(known, metadataOf(value));
    if (known.type === 'file' && value.type === 'file') putFileState(known, value);
  }

  putName({ parent, inode, name }: NameEntry): void {
    this.tree.bind(this.#directory(parent), keyOf(name), this.inode(inode));
  }

  takeName({ parent, name }: UnnameEntry): void {
    if (this.tree.unbind(this.#directory(parent), keyOf(name)) === undefined)
      throw new MalformedError('name that is none');
  }

  /** Returns what was removed. */
  remove(number: number): LiveInode {
    const inode = this.inode(number);
    if (inode.names > 0) throw new MalformedError('inode that is gone and has a name');
    if (inode.type === 'directory' && inode.children.count > 0) {
      throw new MalformedError('directory that has no name and is not empty');
    }
    this.tree.remove(number);
    return inode;
  }

  /** Removes what has no name. Returns it. */
  removeNameless(): LiveInode[] {
    const nameless = [...this.tree.inodes()].filter(({ names, number }) => names === 0 && number !== ROOT_INODE);
    return nameless.map(({ number }) => this.remove(number));
  }

  inode(number: number): LiveInode {
    const inode = this.tree.inode(number);
    if (inode === undefined) throw new MalformedError(`inode ${number} that is none`);
    return inode;
  }

  file(number: number): LiveFile {
    const inode = this.inode(number);
    if (inode.type !== 'file') throw new MalformedError('content of what is no file');
    return inode;
  }

  /** Every directory is to be reached from the root, in one way. */
  check(): void {
    if (this.tree.directory(ROOT_INODE) === undefined) throw new MalformedError('no root');
    let unreached = -1;
    for (const { type, names } of this.tree.inodes()) {
      if (type !== 'directory') continue;
      if (names > 1) throw new MalformedError('directory with two names');
      unreached++;
    }
    this.tree.walk((directory, _key, inode) => {
      if (inode.type !== 'directory') return;
      if (inode.parent !== directory.number) throw new MalformedError('directory in another than its parent');
      unreached--;
    });
    if (unreached !== 0) throw new MalformedError('directories in a circle');
  }

  #directory(number: number): LiveDirectory {
    const inode = this.inode(number);
    if (inode.type !== 'directory') throw new MalformedError('name in what is no directory');
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
