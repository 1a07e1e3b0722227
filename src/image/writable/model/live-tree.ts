import { CkptfsError } from '../../../base/errors.ts';
import { ROOT_INODE } from '../../../format/manifest.ts';
import { LiveDirectory, type LiveInode, type LiveMetadata } from './live-inode.ts';
import type { ObjectTable } from './object-table.ts';

const MAX_INODE = 0xffff_ffff;

/** All inodes and names of a writable image. It does what it is told: its callers check what is allowed. */
export class LiveTree {
  readonly #inodes = new Map<number, LiveInode>();
  #next = ROOT_INODE;

  /** Returns the root directory, which every tree of an image has. */
  get root(): LiveDirectory {
    const root = this.#inodes.get(ROOT_INODE);
    if (root?.type !== 'directory') throw new CkptfsError('internal', 'a tree without a root directory');
    return root;
  }

  get count(): number {
    return this.#inodes.size;
  }

  /** Makes a tree of nothing but a root directory. */
  static withRoot(metadata: LiveMetadata): LiveTree {
    const tree = new LiveTree();
    tree.add(new LiveDirectory(ROOT_INODE, metadata));
    return tree;
  }

  inode(number: number): LiveInode | undefined {
    return this.#inodes.get(number);
  }

  directory(number: number): LiveDirectory | undefined {
    const inode = this.#inodes.get(number);
    return inode?.type === 'directory' ? inode : undefined;
  }

  /** Returns all inodes, in no order. */
  inodes(): IterableIterator<LiveInode> {
    return this.#inodes.values();
  }

  /** Returns a number that no inode ever had, or undefined when none is left. */
  freeNumber(): number | undefined {
    return this.#next <= MAX_INODE ? this.#next : undefined;
  }

  add(inode: LiveInode): void {
    this.#inodes.set(inode.number, inode);
    this.#next = Math.max(this.#next, inode.number + 1);
  }

  remove(number: number): void {
    this.#inodes.delete(number);
  }

  /** Makes a name in a directory lead to an inode, whatever it led to before. */
  bind(directory: LiveDirectory, key: string, inode: LiveInode): void {
    const before = directory.children.get(key);
    if (before !== undefined) this.#leave(directory, before.inode);
    directory.children.put(key, inode.number);
    inode.names++;
    if (inode.type === 'directory') {
      inode.parent = directory.number;
      directory.subdirectories++;
    }
  }

  /** Removes a name. Returns a function that puts it back, or undefined if there is no such name. */
  unbind(directory: LiveDirectory, key: string): (() => void) | undefined {
    const child = directory.children.remove(key);
    if (child === undefined) return undefined;
    const inode = this.#leave(directory, child.inode);
    return () => {
      directory.children.restore(child);
      if (inode === undefined) return;
      inode.names++;
      if (inode.type === 'directory') {
        inode.parent = directory.number;
        directory.subdirectories++;
      }
    };
  }

  /** Calls back for every name that a path from the root leads to. A directory's own name comes before those in it. */
  walk(visit: (directory: LiveDirectory, key: string, inode: LiveInode) => void): void {
    const directories = [this.root];
    for (let index = 0; index < directories.length; index++) {
      const directory = directories[index] as LiveDirectory;
      for (const { key, inode } of directory.children.all()) {
        const child = this.#inodes.get(inode);
        if (child === undefined) continue;
        visit(directory, key, child);
        if (child.type === 'directory' && child.parent === directory.number) directories.push(child);
      }
    }
  }

  /**
   * Returns the names of one path to an inode: none for the root and for an inode without a name. Walks the whole tree.
   */
  pathOf(number: number): string[] {
    const found = new Map<number, readonly [parent: number, key: string]>();
    this.walk((directory, key, inode) => found.set(inode.number, [directory.number, key]));
    const names: string[] = [];
    for (let place = found.get(number); place !== undefined; place = found.get(place[0])) names.unshift(place[1]);
    return names;
  }

  /** Takes one name from an inode. */
  #leave(directory: LiveDirectory, number: number): LiveInode | undefined {
    const inode = this.#inodes.get(number);
    if (inode === undefined) return undefined;
    inode.names--;
    if (inode.type === 'directory') directory.subdirectories--;
    return inode;
  }
}

/** Everything that a writable image is, in memory. */
export interface LiveState {
  /** The epoch of the seal that it continues, or 0 if there was none. */
  readonly epoch: number;
  readonly tree: LiveTree;
  readonly objects: ObjectTable;
}
