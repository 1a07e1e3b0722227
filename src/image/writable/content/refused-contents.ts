import type { LiveFile } from '../model/live-inode.ts';
import type { PendingContents } from '../model/pending-contents.ts';

/**
 * The files with contents that the store refused and that wait in memory. Each is marked as lost, and the next frame
 * has the mark, until they are stored, cut off or removed (W14).
 */
export class RefusedContents {
  readonly #pending: PendingContents;
  /** Files whose dirty chunks were refused. */
  readonly #dirty = new Set<LiveFile>();
  /** The file of the deferred write, if that was refused. */
  #deferred: LiveFile | undefined;

  constructor(pending: PendingContents) {
    this.#pending = pending;
  }

  get files(): ReadonlySet<LiveFile> {
    return this.#deferred === undefined ? this.#dirty : new Set([...this.#dirty, this.#deferred]);
  }

  /** Whether refused dirty chunks wait. */
  get hasDirty(): boolean {
    return this.#dirty.size > 0;
  }

  /** Notes that the store refused dirty chunks of a file. */
  addDirty(file: LiveFile): void {
    this.#dirty.add(file);
    this.#mark(file);
  }

  /** Notes that no dirty chunk of a file waits any more. */
  removeDirty(file: LiveFile): void {
    if (this.#dirty.delete(file)) this.#mark(file);
  }

  /** Notes the file of the deferred write that the store refused; undefined when no such write waits any more. */
  setDeferred(file: LiveFile | undefined): void {
    const before = this.#deferred;
    this.#deferred = file;
    if (before !== undefined) this.#mark(before);
    if (file !== undefined) this.#mark(file);
  }

  /** Forgets a file that was removed. */
  forget(file: LiveFile): void {
    this.#dirty.delete(file);
    if (this.#deferred === file) this.#deferred = undefined;
  }

  #mark(file: LiveFile): void {
    const lost = this.#dirty.has(file) || this.#deferred === file;
    if (file.lost === lost) return;
    file.lost = lost;
    this.#pending.touch(file);
  }
}
