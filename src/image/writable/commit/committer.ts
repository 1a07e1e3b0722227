import { CkptfsError, isFull } from '../../../base/errors.ts';
import type { Secret } from '../../../crypto/secret.ts';
import type { Geometry } from '../../../format/geometry.ts';
import type { Header } from '../../../format/header.ts';
import type { StoreSpace, WritableStore } from '../../../stores/writable-store.ts';
import type { DirtyChunks } from '../content/dirty-chunks.ts';
import type { RefusedContents } from '../content/refused-contents.ts';
import { JournalObjects } from '../journal/journal-objects.ts';
import { JournalWriter } from '../journal/journal-writer.ts';
import { Snapshot } from '../journal/snapshot.ts';
import type { FileChunks } from '../model/file-chunks.ts';
import { FreePlaces } from '../model/free-places.ts';
import type { LiveState } from '../model/live-state.ts';
import type { PendingContents } from '../model/pending-contents.ts';
import type { TreeEdit } from '../model/tree-edit.ts';
import type { ObjectAppender } from '../objects/object-appender.ts';
import type { Puncher, WarningListener } from '../objects/puncher.ts';
import { sealState } from './seal-state.ts';
import type { StoreRoom } from './store-room.ts';

/** How much may come together before something is done about it; in bytes. */
export interface CommitterLimits {
  /** Journal entries that wait for a commit. */
  readonly pending: number;
  /** The journal: a larger one, if it is also larger than four of its snapshots, gives way to a new one. */
  readonly journal: number;
  /** Dead chunks that wait to be punched. */
  readonly freed: number;
}

export const defaultLimits: CommitterLimits = { pending: 512 * 1024, journal: 64 << 20, freed: 16 << 20 };

const SNAPSHOTS_IN_JOURNAL = 4;
/** Objects that may be open only to be made durable, each of 65,536 chunks. */
const MAX_UNSYNCED = 8;

/** What a committer works on. */
export interface CommitterParts {
  readonly store: WritableStore;
  readonly header: Header;
  readonly imageKey: Secret;
  readonly geometry: Geometry;
  readonly state: LiveState;
  readonly chunks: FileChunks;
  readonly pending: PendingContents;
  readonly dirty: DirtyChunks;
  readonly refused: RefusedContents;
  readonly appender: ObjectAppender;
  readonly puncher: Puncher;
  readonly room: StoreRoom;
  readonly onWarning: WarningListener;
  readonly limits: CommitterLimits;
}

/** Makes what is in memory survive: tells the journal, makes it durable, gives back the room of what is dead then, seals. */
export class Committer {
  readonly #parts: CommitterParts;
  #journal: JournalWriter;
  #objects: JournalObjects;
  /** Bytes. */
  #largeJournal: number;
  /** Dead since before the journal was durable last: to be punched when a durable frame says so. */
  readonly #settled = new FreePlaces();
  /** Why nothing can be changed any more. */
  #failure: CkptfsError | undefined;

  /** Begins the journal. @throws CkptfsError `io`, `unsupported-source` */
  constructor(parts: CommitterParts) {
    this.#parts = parts;
    const snapshot = new Snapshot(parts.state, parts.chunks);
    this.#journal = JournalWriter.draft(parts.store, parts.header, parts.imageKey, snapshot.entries())();
    this.#largeJournal = parts.limits.journal;
    this.#objects = this.#adopt(snapshot);
  }

  get pending(): PendingContents {
    return this.#parts.pending;
  }

  /**
   * To be called before contents change: keeps what waits within bounds, and sees that there is room in the store, if need be where dead
   * chunks lie.
   * @param bytes about to be stored @throws CkptfsError `io`
   */
  makeRoom(bytes = 0): void {
    this.#checkUsable();
    const { limits, geometry, appender, room, state } = this.#parts;
    this.#punch(state.objects.abandoned);
    if (this.pending.size > limits.pending) this.#tell();
    if (appender.unsyncedCount > MAX_UNSYNCED) this.#makeDurable(() => appender.sync());
    const freed = this.#freedCount;
    if (freed * geometry.chunkSize > limits.freed) this.#reclaim();
    if (bytes > 0 && !room.has(bytes) && freed > 0) this.#reclaim();
    if (bytes > 0) room.claim(bytes);
  }

  /** As {@link makeRoom}, where nobody waits for it: what fails is told as a warning, and met again by the next operation. */
  giveBack(): void {
    try {
      this.makeRoom();
    } catch (error) {
      if (!(error instanceof CkptfsError)) throw error;
      this.#parts.onWarning(`space was not given back: ${error.message}`);
    }
  }

  /**
   * Stores what the store refused before, if there is anything.
   * @throws CkptfsError `io`: it is refused again
   */
  storeRefused(): void {
    this.#checkUsable();
    if (!this.#parts.refused.hasDirty) return;
    const refusal = this.#retried(() => this.#storeDirty());
    if (refusal !== undefined) throw refusal;
  }

  /** Tells the journal a change of the tree, and all else. @throws CkptfsError `io`: it knows nothing of the change */
  commitEdit(edit: TreeEdit): void {
    this.#tell(edit);
  }

  /**
   * Tells the journal everything, in one frame.
   * @throws CkptfsError `io`: the journal knows nothing of it, or the store refused contents, and it knows all but these
   */
  commit(): void {
    const refusal = this.#tell();
    if (refusal !== undefined) throw refusal;
  }

  /** Returns why the store refused contents, which then still wait and are marked as lost. @throws CkptfsError `io` */
  #tell(edit?: TreeEdit): CkptfsError | undefined {
    this.#checkUsable();
    const refusal = this.#storeDirty();
    this.#appendFrame(edit);
    return refusal;
  }

  #appendFrame(edit?: TreeEdit): void {
    this.#objects.forget();
    const contents = [...this.pending.entries(this.#objects)];
    const entries = [...this.#objects.begun(), ...contents, ...(edit?.entries() ?? [])];
    if (entries.length === 0) return;
    this.#journal.append(entries);
    this.#objects.adopt();
    this.pending.clear();
    this.#parts.appender.forgetRecords();
    if (this.#journal.size > Math.max(this.#largeJournal, SNAPSHOTS_IN_JOURNAL * this.#journal.snapshotSize)) {
      this.#renewJournal();
    }
  }

  /** Does as {@link commit}, and makes it durable. @throws CkptfsError `io`, as commit */
  sync(): void {
    const refusal = this.#retried(() => this.#tell());
    this.#settle();
    if (refusal !== undefined) throw refusal;
  }

  /** Returns why the store refused contents, if it did. */
  #storeDirty(): CkptfsError | undefined {
    try {
      this.#parts.dirty.store();
      return undefined;
    } catch (error) {
      if (!(error instanceof CkptfsError)) throw error;
      this.#punch(this.#parts.state.objects.abandoned);
      return error;
    }
  }

  /**
   * Makes an attempt to store contents, and another one if the first is refused for lack of room and dead chunks have some.
   * @returns why the store refused them in the end, if it did
   */
  #retried(attempt: () => CkptfsError | undefined): CkptfsError | undefined {
    const refusal = attempt();
    if (!isFull(refusal) || this.#freedCount === 0) return refusal;
    // What was refused is marked as lost: a frame without it is true.
    this.#appendFrame();
    this.#punchDead();
    return attempt();
  }

  /** Makes durable what the journal was told. @throws CkptfsError `io` */
  #settle(): void {
    const { appender, state } = this.#parts;
    const hasNews = this.#journal.isUnsynced;
    if (!hasNews && !appender.isUnsynced) return;
    this.#makeDurable(() => {
      appender.sync();
      this.#journal.sync();
    });
    // The first of the frames that are durable now said that all before them was.
    if (hasNews) this.#punch(this.#settled);
    this.#settled.addAll(state.objects.freed);
  }

  /** Puts a manifest in place of the journal. @throws CkptfsError `io`: the image is still unsealed, and nothing can be changed any more */
  seal(): void {
    this.commit();
    this.#parts.appender.finishObjects();
    this.sync();
    const { state } = this.#parts;
    const ids = state.objects.objects.map(({ name }) => name);
    // When this fails nobody knows whether the manifest is in place, and the journal without meaning.
    this.#makeDurable(() => sealState(this.#parts, ids));
    this.#failure = new CkptfsError('internal', 'the image is sealed');
  }

  space(): StoreSpace {
    return this.#parts.store.space();
  }

  close(): void {
    this.#journal.close();
    this.#parts.appender.close();
  }

  /** How many dead chunks there are whose room can be given back. */
  get #freedCount(): number {
    return this.#parts.state.objects.freed.count + this.#settled.count;
  }

  /** Gives back the room of everything that is dead now. */
  #reclaim(): void {
    this.#tell();
    this.#punchDead();
  }

  /** Gives back the room of everything that is dead in what the journal was told. */
  #punchDead(): void {
    this.#settle();
    if (this.#settled.count === 0) return;
    this.#journal.append([]);
    this.#makeDurable(() => this.#journal.sync());
    this.#punch(this.#settled);
  }

  /** Begins a new journal, smaller than the one there is. That one goes on when it cannot be written. */
  #renewJournal(): void {
    const { appender, store, header, imageKey, state, chunks, onWarning } = this.#parts;
    const old = this.#journal;
    const snapshot = new Snapshot(state, chunks);
    try {
      appender.finishObjects();
      this.#makeDurable(() => appender.sync());
      const publish = JournalWriter.draft(store, header, imageKey, snapshot.entries());
      // When this fails nobody knows which journal is in place; what was committed is in both.
      this.#makeDurable(() => {
        this.#journal = publish();
      });
    } catch (error) {
      if (!(error instanceof CkptfsError)) throw error;
      this.#largeJournal = 2 * old.size;
      onWarning(`the journal stays large: ${error.message}`);
      return;
    }
    old.close();
    this.#objects = this.#adopt(snapshot);
  }

  /** What the new journal does not name is of no use to anybody any more. */
  #adopt(snapshot: Snapshot): JournalObjects {
    snapshot.adopt();
    const { state, puncher } = this.#parts;
    for (const object of state.objects.objects) {
      if (object.number !== undefined || object.isRemoved) continue;
      puncher.remove(object.name);
      object.isRemoved = true;
    }
    this.#punch(this.#settled);
    this.#punch(state.objects.freed);
    this.#punch(state.objects.abandoned);
    return new JournalObjects(state.objects, snapshot.objectCount);
  }

  #punch(places: FreePlaces): void {
    const { state, puncher } = this.#parts;
    const runs = places.drain();
    for (let at = 0; at < runs.length; ) {
      const { object } = runs[at] as { object: number };
      const first = at;
      while (runs[at]?.object === object) at++;
      const { name, isRemoved } = state.objects.at(object);
      if (!isRemoved) puncher.punch(name, runs.slice(first, at));
    }
  }

  /** What fails here cannot be tried again: the system may have dropped what it could not write. */
  #makeDurable(action: () => void): void {
    try {
      action();
    } catch (error) {
      if (error instanceof CkptfsError) this.#failure = error;
      throw error;
    }
  }

  #checkUsable(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }
}
