import { MalformedError } from '../../../base/bytes.ts';
import type { Geometry } from '../../../format/geometry.ts';
import type { JournalEntry } from '../../../format/journal.ts';
import type { LiveState } from '../model/live-tree.ts';
import type { LiveObject } from '../model/object-table.ts';
import { ReplayedContents } from './replayed-contents.ts';
import { ReplayedTree } from './replayed-tree.ts';

/** Makes a state from the entries of a journal. Each entry is checked against what is known by then. */
export class Replay {
  readonly #tree = new ReplayedTree();
  readonly #contents: ReplayedContents;
  #epoch: number | undefined;

  constructor(geometry: Geometry) {
    this.#contents = new ReplayedContents(geometry);
  }

  /** The objects so far, by their number in the journal. */
  get objects(): readonly LiveObject[] {
    return this.#contents.objects.objects;
  }

  /** Applies the next entry. @throws MalformedError when it contradicts what is known */
  apply(entry: JournalEntry): void {
    if (this.#epoch === undefined && entry.kind !== 'base') throw new MalformedError('its first entry is not "base"');
    if (this.#epoch !== undefined && entry.kind === 'base') throw new MalformedError('a second entry "base"');
    switch (entry.kind) {
      case 'base':
        this.#epoch = entry.epoch;
        break;
      case 'barrier':
        break;
      case 'object':
        this.#contents.addObject(entry);
        break;
      case 'inode':
        this.#tree.putInode(entry);
        break;
      case 'gone': {
        const inode = this.#tree.remove(entry.inode);
        if (inode.type === 'file') this.#contents.drop(inode);
        break;
      }
      case 'name':
        this.#tree.putName(entry);
        break;
      case 'unname':
        this.#tree.takeName(entry);
        break;
      case 'extents':
        this.#contents.appendExtents(this.#tree.file(entry.inode), entry.extents);
        break;
      case 'chunks':
        this.#contents.placeChunks(this.#tree.file(entry.inode), entry);
        break;
      case 'holes':
        this.#contents.clearChunks(this.#tree.file(entry.inode), entry);
    }
  }

  /**
   * Returns the state after all entries. Inodes without a name are left out.
   * @throws MalformedError when it is not a tree of files
   */
  state(): LiveState {
    if (this.#epoch === undefined) throw new MalformedError('no entry "base"');
    for (const inode of this.#tree.removeNameless()) if (inode.type === 'file') this.#contents.drop(inode);
    this.#tree.check();
    const { tree } = this.#tree;
    for (const inode of tree.inodes()) if (inode.type === 'file') this.#contents.finish(inode);
    this.#contents.settleFreed();
    return { epoch: this.#epoch, tree, objects: this.#contents.objects };
  }
}
