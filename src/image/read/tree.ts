import { CkptfsError } from '../../base/errors.ts';
import { firstNotBelow } from '../../base/search.ts';
import { type Entry, type Inode, ROOT_INODE } from '../../format/manifest.ts';
import type { ImageSource } from './image-source.ts';

/** A name in a directory and the inode it leads to. */
interface Child {
  readonly name: Buffer;
  /** Inode number. */
  readonly inode: number;
}

/** Finds inodes in a manifest by name, by path and by directory. A directory is a run of the sorted entries. */
export class ImageTree {
  readonly #manifest: ImageSource['manifest'];
  /** For each inode number, the index of the first entry of that directory; and one index more at the end. */
  readonly #start: Uint32Array;
  /** For each inode number, the index of the entry that names it first, and -1 for the root. */
  readonly #named: Int32Array;
  readonly #links: Uint32Array;

  constructor(manifest: ImageSource['manifest']) {
    const { inodes, entries } = manifest;
    this.#manifest = manifest;
    this.#start = new Uint32Array(inodes.length + 2);
    this.#named = new Int32Array(inodes.length + 1).fill(-1);
    this.#links = new Uint32Array(inodes.length + 1);
    for (const [at, { parent, inode }] of entries.entries()) {
      this.#start[parent + 1] = at + 1;
      if (this.#named[inode] === -1) this.#named[inode] = at;
      this.#links[inode] = (this.#links[inode] ?? 0) + 1;
      if (inodes[inode - 1]?.type === 'directory') this.#links[parent] = (this.#links[parent] ?? 0) + 1;
    }
    for (let at = 1; at < this.#start.length; at++) {
      this.#start[at] = Math.max(this.#start[at] ?? 0, this.#start[at - 1] ?? 0);
    }
  }

  inode(number: number): Inode | undefined {
    return this.#manifest.inodes[number - 1];
  }

  /** Returns st_nlink: the names of a file; for a directory 2, and 1 for each directory in it. */
  links(number: number): number {
    const counted = this.#links[number] ?? 0;
    if (this.inode(number)?.type !== 'directory') return counted;
    return number === ROOT_INODE ? counted + 2 : counted + 1;
  }

  /** Returns the number of the parent of a directory. The root is its own parent. */
  parent(directory: number): number {
    return this.#manifest.entries[this.#named[directory] ?? -1]?.parent ?? ROOT_INODE;
  }

  /** Returns the entry that names an inode first; undefined for the root. */
  place(number: number): Entry | undefined {
    return this.#manifest.entries[this.#named[number] ?? -1];
  }

  childCount(directory: number): number {
    return (this.#start[directory + 1] ?? 0) - (this.#start[directory] ?? 0);
  }

  /** Returns the child at a position, in byte order of names, or undefined past the last. */
  child(directory: number, position: number): Child | undefined {
    if (position < 0 || position >= this.childCount(directory)) return undefined;
    return this.#manifest.entries[(this.#start[directory] ?? 0) + position];
  }

  /** Returns the inode number of a name in a directory, or undefined. */
  lookup(directory: number, name: Uint8Array): number | undefined {
    const { entries } = this.#manifest;
    const end = this.#start[directory + 1] ?? 0;
    const index = firstNotBelow(entries, name, hasLowerName, this.#start[directory] ?? 0, end);
    const entry = index < end ? entries[index] : undefined;
    return entry !== undefined && Buffer.compare(entry.name, name) === 0 ? entry.inode : undefined;
  }

  /** Returns the path of an inode by its first name, '/' between names, without one in front; empty for the root. */
  pathOf(number: number): Buffer {
    const names: Buffer[] = [];
    for (let at = number; at !== ROOT_INODE; ) {
      const entry = this.#manifest.entries[this.#named[at] ?? -1];
      if (entry === undefined) break;
      names.unshift(entry.name, SLASH);
      at = entry.parent;
    }
    return Buffer.concat(names.slice(0, -1));
  }

  /**
   * Returns the inode number at a path. Follows no symbolic link. Ignores '/' at either end, and a second '/'.
   * @throws CkptfsError `no-such-file`
   */
  resolve(path: string | Uint8Array): number {
    const text = Buffer.from(path as Uint8Array).toString('latin1');
    let at = ROOT_INODE;
    for (const name of text.split('/')) {
      if (name === '' || name === '.') continue;
      const next = name === '..' ? this.parent(at) : this.lookup(at, Buffer.from(name, 'latin1'));
      if (next === undefined) {
        const shown = Buffer.from(text, 'latin1').toString();
        throw new CkptfsError('no-such-file', `the image has no file ${shown}`, { path: shown });
      }
      at = next;
    }
    return at;
  }
}

const SLASH = Buffer.from('/');

function hasLowerName(entry: Child, name: Uint8Array): boolean {
  return Buffer.compare(entry.name, name) < 0;
}
