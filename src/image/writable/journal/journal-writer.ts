import { JournalCipher } from '../../../crypto/journal-cipher.ts';
import type { Secret } from '../../../crypto/secret.ts';
import { primitives } from '../../../crypto/select.ts';
import { randomBytes } from '../../../crypto/system-random.ts';
import type { Header } from '../../../format/header.ts';
import type { JournalEntry } from '../../../format/journal.ts';
import { encodeJournalHeader } from '../../../format/journal-codec.ts';
import { ID_SIZE } from '../../../format/manifest.ts';
import type { JournalFile, WritableStore } from '../../../stores/writable-store.ts';
import { encodeFrame, frames } from './journal-frames.ts';

const barrier: JournalEntry = { kind: 'barrier' };

/** The journal of an image that is being written. */
export class JournalWriter {
  readonly #file: JournalFile;
  readonly #cipher: JournalCipher;
  #nextFrame: number;
  /** Whether everything so far was durable when it was looked at last, and no frame says so yet. */
  #owesBarrier = false;
  #isUnsynced = false;
  /** Bytes of the snapshot it begins with. */
  readonly snapshotSize: number;

  private constructor(file: JournalFile, cipher: JournalCipher, nextFrame: number) {
    this.#file = file;
    this.#cipher = cipher;
    this.#nextFrame = nextFrame;
    this.snapshotSize = file.size;
  }

  /**
   * Writes a new journal beside the one there is, if any: a snapshot of the whole state. All that it names must be durable.
   * @param state its entries, from `base` on
   * @returns puts it in place of the other; when that fails nobody knows which of the two is in place @throws CkptfsError `io`
   * @throws CkptfsError `io`, `unsupported-source`: then there is no new journal
   */
  static draft(
    store: WritableStore,
    header: Header,
    imageKey: Secret,
    state: Iterable<JournalEntry>,
  ): () => JournalWriter {
    const journalHeader = encodeJournalHeader(randomBytes(ID_SIZE));
    const draft = store.beginJournal();
    const cipher = new JournalCipher(primitives(), imageKey, header.imageId, journalHeader);
    let nextFrame = 0;
    try {
      draft.append(journalHeader);
      for (const frame of withBarrier(frames(state))) draft.append(cipher.seal(nextFrame++, encodeFrame(frame)));
    } catch (error) {
      cipher.dispose();
      draft.discard();
      throw error;
    }
    return () => {
      try {
        return new JournalWriter(draft.publish(), cipher, nextFrame);
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

  /** Adds one frame; without entries, one that says only what is owed to be said. @throws CkptfsError `io`: nothing was added */
  append(entries: readonly JournalEntry[]): void {
    const frame = this.#owesBarrier ? [barrier, ...entries] : entries;
    if (frame.length === 0) return;
    this.#file.append(this.#cipher.seal(this.#nextFrame, encodeFrame(frame)));
    this.#nextFrame++;
    this.#owesBarrier = false;
    this.#isUnsynced = true;
  }

  /** Makes all frames durable. The data they name must be. @throws CkptfsError `io` */
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

/** The frames of a snapshot, with what says that it is whole: a journal that was cut within its snapshot has no barrier. */
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
