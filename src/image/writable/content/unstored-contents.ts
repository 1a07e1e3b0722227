import { namedFiles } from '../model/left-files.ts';
import type { LiveTree } from '../model/live-tree.ts';
import type { PendingContents } from '../model/pending-contents.ts';
import type { DirtyChunks } from './dirty-chunks.ts';
import type { RefusedContents } from './refused-contents.ts';

/** Which contents are not in the store yet, and how the journal marks their files. */
export class UnstoredContents {
  readonly #tree: LiveTree;
  readonly #pending: PendingContents;
  readonly #dirty: DirtyChunks;
  readonly #refused: RefusedContents;

  constructor(
    tree: LiveTree,
    contents: { readonly pending: PendingContents; readonly dirty: DirtyChunks; readonly refused: RefusedContents },
  ) {
    this.#tree = tree;
    this.#pending = contents.pending;
    this.#dirty = contents.dirty;
    this.#refused = contents.refused;
  }

  /**
   * Notes that the writer of a file has closed it, so that it is whole until it is changed again. The next frame has
   * it.
   */
  closed(number: number): void {
    const file = this.#tree.inode(number);
    if (file?.type !== 'file' || !file.open) return;
    file.open = false;
    this.#pending.touch(file);
  }

  /**
   * Notes that the store refused a write that the caller keeps, so that the next frame marks its file as lost.
   * @param number of the file; undefined when no such write waits any more
   */
  setRefusedWrite(number: number | undefined): void {
    const file = number === undefined ? undefined : this.#tree.inode(number);
    this.#refused.setDeferred(file?.type === 'file' ? file : undefined);
  }

  /** Names the files with contents that are not stored, or not committed; undefined when there are none. */
  describe(): string | undefined {
    const files = new Set([...this.#refused.files, ...this.#dirty.files, ...this.#pending.files]);
    if (files.size === 0) return undefined;
    const numbers = [...files].map(({ number }) => number).sort((a, b) => a - b);
    return namedFiles(this.#tree, numbers);
  }
}
