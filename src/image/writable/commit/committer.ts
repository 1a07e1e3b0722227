import { invariant, isFailure } from '../../../base/assert.ts';
import { CkptfsError, isFull } from '../../../base/errors.ts';
import type { StoreSpace, WritableStore } from '../../../stores/writable-store.ts';
import type { ImageContext } from '../../objects/image-context.ts';
import type { DirtyChunks } from '../content/dirty-chunks.ts';
import type { RefusedContents } from '../content/refused-contents.ts';
import { JournalObjects } from '../journal/journal-objects.ts';
import { JournalWriter } from '../journal/journal-writer.ts';
import { Snapshot } from '../journal/snapshot.ts';
import type { FileChunks } from '../model/file-chunks.ts';
import type { LiveState } from '../model/live-tree.ts';
import type { PendingContents } from '../model/pending-contents.ts';
import type { TreeEdit } from '../model/tree-edit.ts';
import type { HolePuncher, WarningListener } from '../objects/hole-puncher.ts';
import type { ObjectAppender } from '../objects/object-appender.ts';
import { FreedSpace } from './freed-space.ts';
import { sealState } from './seal-state.ts';
import type { SpaceReserve } from './space-reserve.ts';

/** Bytes that may wait, each before something is done about it. */
export interface CommitterLimits {
  /** Journal entries that wait for a commit. */
  readonly pending: number;
  /** A journal that is larger than this, and than four of its snapshots, is renewed. */
  readonly journal: number;
  /** Freed places that wait to be punched. */
  readonly freed: number;
}

export const DEFAULT_LIMITS: CommitterLimits = { pending: 512 * 1024, journal: 64 << 20, freed: 16 << 20 };

const SNAPSHOTS_IN_JOURNAL = 4;
/** Objects that may be open only to be made durable. Each has 65,536 chunks. */
const MAX_UNSYNCED = 8;

/** What a {@link Committer} works on. */
export interface CommitterParts {
  readonly image: ImageContext<WritableStore>;
  readonly state: LiveState;
  readonly chunks: FileChunks;
  readonly pending: PendingContents;
  readonly dirty: DirtyChunks;
  readonly refused: RefusedContents;
  readonly appender: ObjectAppender;
  readonly puncher: HolePuncher;
  readonly space: SpaceReserve;
  readonly onWarning: WarningListener;
  readonly limits: CommitterLimits;
}

/** Makes what is in memory survive: commits it to the journal, makes it durable, gives freed space back, and seals. */
export class Committer {
  readonly #parts: CommitterParts;
  #journal: JournalWriter;
  #objects: JournalObjects;
  /** Bytes that the journal may have before it is renewed. */
  #largeJournal: number;
  readonly #freed: FreedSpace;
  /** Why nothing can be changed any more (W20). */
  #failure: CkptfsError | undefined;

  /** Begins a journal (W11). @throws CkptfsError `io`, `unsupported-source` */
  constructor(parts: CommitterParts) {
    this.#parts = parts;
    const snapshot = new Snapshot(parts.state, parts.chunks);
    this.#journal = JournalWriter.draft(parts.image, snapshot.entries())();
    this.#largeJournal = parts.limits.journal;
    this.#freed = new FreedSpace(parts.state.objects, parts.puncher, parts.image.geometry);
    this.#objects = this.#adopt(snapshot);
  }

  get pending(): PendingContents {
    return this.#parts.pending;
  }

  /**
   * Keeps what waits for the journal, for a sync and for punching within bounds. It is to be called before anything
   * changes.
   * @throws CkptfsError `io`
   */
  keepBounds(): void {
    this.#checkUsable();
    const { limits, image, appender } = this.#parts;
    this.#freed.punchAbandoned();
    if (this.pending.size > limits.pending) this.#commitFrame();
    if (appender.unsyncedCount > MAX_UNSYNCED) this.#makeDurable(() => appender.sync());
    if (this.#freed.count * image.geometry.chunkSize > limits.freed) this.#reclaim();
  }

  /** Like {@link keepBounds}, but warns where that throws: the next operation meets the same failure. */
  tryKeepBounds(): void {
    try {
      this.keepBounds();
    } catch (error) {
      if (!(error instanceof CkptfsError) || (!isFailure(error) && error !== this.#failure)) throw error;
      this.#parts.onWarning(`space was not given back: ${error.message}`);
    }
  }

  /**
   * Keeps bounds, and reserves space for contents that are about to be stored, if need be that of freed places.
   * @throws CkptfsError `io`
   */
  reserve(bytes: number): void {
    this.keepBounds();
    const { space } = this.#parts;
    if (!space.has(bytes) && this.#freed.count > 0) this.#reclaim();
    space.take(bytes);
  }

  /**
   * Tries again to store the dirty chunks that the store refused, if there are any.
   * @throws CkptfsError `io`: it refuses them again
   */
  storeRefused(): void {
    this.#checkUsable();
    if (!this.#parts.refused.hasDirty) return;
    const refusal = this.#retried(() => this.#storeDirty());
    if (refusal !== undefined) throw refusal;
  }

  /** Commits a change of the tree, and all else. @throws CkptfsError `io`: the journal is unchanged */
  commitEdit(edit: TreeEdit): void {
    this.#commitFrame(edit);
  }

  /**
   * Commits everything in one frame (W7).
   * @throws CkptfsError `io`: the journal is unchanged, or the store refused contents, and the frame has all but these
   */
  commit(): void {
    const refusal = this.#commitFrame();
    if (refusal !== undefined) throw refusal;
  }

  /**
   * Commits in one frame all that the store takes. Returns why it refused contents, if it did.
   * @throws CkptfsError `io`
   */
  #commitFrame(edit?: TreeEdit): CkptfsError | undefined {
    this.#checkUsable();
    const refusal = this.#storeDirty();
    this.#appendFrame(edit);
    return refusal;
  }

  /** Appends a frame of everything that no frame has yet (W7), if there is anything. @throws CkptfsError `io` */
  #appendFrame(edit?: TreeEdit): void {
    for (const { number, lost } of this.#parts.dirty.files) invariant(lost, 'W14', { inode: number });
    this.#objects.forget();
    const contents = [...this.pending.entries(this.#objects)];
    const entries = [...this.#objects.begun(), ...contents, ...(edit?.entries() ?? [])];
    if (entries.length === 0) return;
    this.#journal.append(entries);
    this.#objects.adopt();
    this.pending.clear();
    this.#parts.appender.forgetRecords();
    if (this.#journal.size > Math.max(this.#largeJournal, SNAPSHOTS_IN_JOURNAL * this.#journal.snapshotSize)) {
      this.#renewCommitted();
    }
  }

  /**
   * Renews the journal after a frame was appended to it. A fault in ckptfs must not fail the operation that has just
   * been committed, which the caller would undo, and commit again: nothing can be changed any more instead (W20).
   */
  #renewCommitted(): void {
    try {
      this.#renewJournal();
    } catch (cause) {
      const message = cause instanceof Error ? cause.message : String(cause);
      this.#failure ??= new CkptfsError('internal', `the journal was not renewed: ${message}`, { cause });
      this.#parts.onWarning(`nothing can be written any more: ${this.#failure.message}`);
    }
  }

  /** Like {@link commit}, but also makes everything durable. @throws CkptfsError `io`, as commit does */
  sync(): void {
    const refusal = this.#retried(() => this.#commitFrame());
    this.#settle();
    if (refusal !== undefined) throw refusal;
  }

  /** Stores all dirty chunks. Returns why the store refused them, if it did. */
  #storeDirty(): CkptfsError | undefined {
    try {
      this.#parts.dirty.store();
      return undefined;
    } catch (error) {
      if (!isFailure(error)) throw error;
      this.#freed.punchAbandoned();
      return error;
    }
  }

  /**
   * Tries to store contents, and once more if the store is full and freed places have space to give back.
   * @returns why the store refused them in the end, if it did
   */
  #retried(attempt: () => CkptfsError | undefined): CkptfsError | undefined {
    const refusal = attempt();
    if (!isFull(refusal) || this.#freed.count === 0) return refusal;
    // Files with refused contents are marked as lost (W14), so a frame without these contents is true.
    this.#appendFrame();
    this.#punchFreed();
    return attempt();
  }

  /** Makes everything that frames name durable, and then the frames (W8). @throws CkptfsError `io` */
  #settle(): void {
    const { appender } = this.#parts;
    const hasNews = this.#journal.isUnsynced;
    if (!hasNews && !appender.isUnsynced) return;
    this.#makeDurable(() => {
      appender.sync();
      invariant(!appender.isUnsynced, 'W8');
      this.#journal.sync();
    });
    invariant(this.pending.size === 0, 'W10');
    // The first of these frames began with the barrier that the settled places wait for.
    if (hasNews) this.#freed.punchSettled();
    this.#freed.settle();
  }

  /**
   * Seals the image.
   * @throws CkptfsError `io`: it is still unsealed; see {@link sealState} for when nothing can be changed any more
   */
  seal(): void {
    this.commit();
    this.#parts.appender.finishObjects();
    this.sync();
    const { state } = this.#parts;
    const ids = state.objects.objects.map(({ name }) => name);
    // If this fails, the manifest may be in place, and then a later frame of the journal would count for nothing.
    this.#makeDurable(() => sealState(this.#parts, ids));
    this.#failure = new CkptfsError('internal', 'the image is sealed');
  }

  space(): StoreSpace {
    return this.#parts.image.store.space();
  }

  close(): void {
    try {
      this.#journal.close();
    } finally {
      this.#parts.appender.close();
    }
  }

  /** Gives back the space of all freed places. */
  #reclaim(): void {
    this.#commitFrame();
    this.#punchFreed();
  }

  /** Gives back the space of all places that the frames so far have freed. */
  #punchFreed(): void {
    this.#settle();
    if (!this.#freed.hasSettled) return;
    this.#journal.append([]);
    this.#makeDurable(() => this.#journal.sync());
    this.#freed.punchSettled();
  }

  /** Puts a new, smaller journal in place of the present one, which is continued if the new one cannot be written. */
  #renewJournal(): void {
    const { appender, image, state, chunks, onWarning } = this.#parts;
    const old = this.#journal;
    const snapshot = new Snapshot(state, chunks);
    try {
      appender.finishObjects();
      this.#makeDurable(() => appender.sync());
      invariant(!appender.isUnsynced, 'W8');
      const publish = JournalWriter.draft(image, snapshot.entries());
      // If this fails, either journal may be in place. Both have everything that was committed.
      this.#makeDurable(() => {
        this.#journal = publish();
      });
    } catch (error) {
      if (!isFailure(error)) throw error;
      this.#largeJournal = 2 * old.size;
      onWarning(`the journal stays large: ${error.message}`);
      return;
    }
    try {
      old.close();
    } catch (error) {
      // It is not the journal any more.
      if (!isFailure(error)) throw error;
    }
    this.#objects = this.#adopt(snapshot);
  }

  /**
   * Takes a new journal over. No state that may come back needs what it does not name, so that space is given back
   * (W10).
   */
  #adopt(snapshot: Snapshot): JournalObjects {
    snapshot.adopt();
    this.#freed.releaseAll();
    const { image, state } = this.#parts;
    return new JournalObjects(state.objects, snapshot.objectCount, image.geometry);
  }

  /**
   * Runs what makes something durable. It cannot be tried again: the system may have dropped what it could not write
   * (W20).
   */
  #makeDurable(action: () => void): void {
    try {
      action();
    } catch (error) {
      if (error instanceof CkptfsError) this.#failure = error;
      throw error;
    }
  }

  /** Throws why nothing can be changed any more (W20). */
  #checkUsable(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }
}
