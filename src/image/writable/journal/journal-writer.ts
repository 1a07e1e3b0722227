import { invariant } from '../../../base/assert.ts';
import { JournalCipher } from '../../../crypto/journal-cipher.ts';
import { primitives } from '../../../crypto/select.ts';
import { randomBytes } from '../../../crypto/system-random.ts';
import type { Geometry } from '../../../format/geometry.ts';
import type { JournalEntry } from '../../../format/journal.ts';
import { encodeJournalHeader } from '../../../format/journal-codec.ts';
import { ID_SIZE } from '../../../format/manifest.ts';
import type { JournalFile, WritableStore } from '../../../stores/writable-store.ts';
import type { ImageContext } from '../../objects/image-context.ts';
import { encodeFrame, frames } from './journal-frames.ts';

const barrier: JournalEntry = { kind: 'barrier' };

/** The journal of an image that is being written, open to be appended to. */
export class JournalWriter {
  readonly #file: JournalFile;
  readonly #cipher: JournalCipher;
  readonly #geometry: Geometry;
  #nextFrame: number;
  /** Offset at which the last frame ends. */
  #end: number;
  /** Whether all frames were durable at some time and no frame says so yet: the next one begins with a barrier (W9). */
  #owesBarrier = false;
  #isUnsynced = false;
  /** Bytes of the snapshot that it begins with. */
  readonly snapshotSize: number;

  private constructor(file: JournalFile, cipher: JournalCipher, geometry: Geometry, nextFrame: number) {
    this.#file = file;
    this.#geometry = geometry;
    this.#cipher = cipher;
    this.#nextFrame = nextFrame;
    this.snapshotSize = file.size;
    this.#end = file.size;
  }

  /**
   * Writes a new journal beside the present one, if there is one: a snapshot of the whole state (W11). All that it
   * names must be durable (W8).
   * @param state its entries, from `base` on
   * @returns a function that puts it in place; after it throws (CkptfsError `io`), either journal may be in place
   * @throws CkptfsError `io`, `unsupported-source`: there is no new journal
   */
  static draft(
    { store, header, imageKey, geometry }: ImageContext<WritableStore>,
    state: Iterable<JournalEntry>,
  ): () => JournalWriter {
    const journalHeader = encodeJournalHeader(randomBytes(ID_SIZE));
    const draft = store.beginJournal();
    const cipher = new JournalCipher(primitives(), imageKey, header.imageId, journalHeader, header.suite);
    let nextFrame = 0;
    try {
      draft.append(journalHeader);
      for (const frame of withBarrier(frames(state))) {
        draft.append(cipher.seal(nextFrame++, encodeFrame(frame, geometry)));
      }
    } catch (error) {
      cipher.dispose();
      draft.discard();
      throw error;
    }
    return () => {
      try {
        return new JournalWriter(draft.publish(), cipher, geometry, nextFrame);
      } catch (error) {
        cipher.dispose();
        throw error;
      }
    };
  }

  /** Bytes. */
  get size(): number {
    return this.#file.size;
  }

  get isUnsynced(): boolean {
    return this.#isUnsynced;
  }

  /**
   * Appends one frame: a barrier, if one is owed, and the entries. Does nothing if there is neither.
   * @throws CkptfsError `io`: nothing was appended
   */
  append(entries: readonly JournalEntry[]): void {
    const frame = this.#owesBarrier ? [barrier, ...entries] : entries;
    if (frame.length === 0) return;
    invariant(!this.#owesBarrier || !this.#isUnsynced, 'W9');
    const sealed = this.#cipher.seal(this.#nextFrame, encodeFrame(frame, this.#geometry));
    const { size } = this.#file;
    invariant(size === this.#end, 'W6', { size, end: this.#end });
    this.#file.append(sealed);
    this.#end += sealed.length;
    this.#nextFrame++;
    this.#owesBarrier = false;
    this.#isUnsynced = true;
  }

  /** Makes all frames durable. What they name must be durable (W8). @throws CkptfsError `io` */
  sync(): void {
    this.#file.sync();
    this.#isUnsynced = false;
    this.#owesBarrier = true;
  }

  close(): void {
    this.#cipher.dispose();
    this.#file.close();
  }
}

/** Adds the barrier that says that a snapshot is complete: a journal that was cut within its snapshot has none. */
function* withBarrier(snapshot: Generator<JournalEntry[]>): Generator<readonly JournalEntry[]> {
  const [base, ...rest] = snapshot.next().value ?? [];
  const second = snapshot.next();
  if (second.done === true) {
    yield [base, barrier, ...rest];
    return;
  }
  yield [base, ...rest];
  yield second.value;
  yield* snapshot;
  yield [barrier];
}
