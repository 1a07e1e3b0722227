import type { JournalEntry } from '../../../format/journal.ts';
import { inodeEntry, metadataOf } from './inode-entry.ts';
import type { LiveDirectory, LiveInode, LiveMetadata } from './live-inode.ts';
import type { LiveTree } from './live-tree.ts';

/** One change of the tree. It is made at once, and undone if the frame that has it could not be appended (W12). */
export class TreeEdit {
  readonly #tree: LiveTree;
  readonly #undo: (() => void)[] = [];
  readonly #inodes = new Set<LiveInode>();
  /** Changed names by directory. */
  readonly #names = new Map<LiveDirectory, Set<string>>();

  constructor(tree: LiveTree) {
    this.#tree = tree;
  }

  /** Adds an inode without a name. */
  add(inode: LiveInode): void {
    this.#tree.add(inode);
    this.#inodes.add(inode);
    this.#undo.push(() => this.#tree.remove(inode.number));
  }

  set(inode: LiveInode, changes: Partial<LiveMetadata>): void {
    const before = metadataOf(inode);
    this.#undo.push(() => Object.assign(inode, before));
    Object.assign(inode, changes);
    this.#inodes.add(inode);
  }

  /** Makes a name lead to an inode, as {@link LiveTree.bind} does. */
  bind(directory: LiveDirectory, key: string, inode: LiveInode): void {
    const before = this.#tree.inode(directory.children.get(key)?.inode ?? 0);
    this.#tree.bind(directory, key, inode);
    this.#undo.push(() => {
      if (before === undefined) this.#tree.unbind(directory, key);
      else this.#tree.bind(directory, key, before);
    });
    this.#noteName(directory, key);
  }

  unbind(directory: LiveDirectory, key: string): void {
    const putBack = this.#tree.unbind(directory, key);
    if (putBack === undefined) return;
    this.#undo.push(putBack);
    this.#noteName(directory, key);
  }

  /** Yields its journal entries. */
  *entries(): Generator<JournalEntry> {
    for (const inode of this.#inodes) yield inodeEntry(inode);
    for (const [directory, keys] of this.#names) {
      for (const key of keys) {
        const child = directory.children.get(key);
        const name = Buffer.from(key, 'latin1');
        if (child === undefined) yield { kind: 'unname', parent: directory.number, name };
        else yield { kind: 'name', parent: directory.number, inode: child.inode, name };
      }
    }
  }

  undo(): void {
    for (const step of this.#undo.reverse()) step();
    this.#undo.length = 0;
  }

  #noteName(directory: LiveDirectory, key: string): void {
    const keys = this.#names.get(directory);
    if (keys === undefined) this.#names.set(directory, new Set([key]));
    else keys.add(key);
  }
}
