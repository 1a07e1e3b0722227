import { MalformedError } from '../../../base/bytes.ts';
import { CkptfsError } from '../../../base/errors.ts';
import { Region } from '../../../base/linux/native.ts';
import { JournalCipher } from '../../../crypto/journal-cipher.ts';
import { primitives } from '../../../crypto/select.ts';
import type { Geometry } from '../../../format/geometry.ts';
import type { JournalEntry } from '../../../format/journal.ts';
import { decodeEntries, FRAME_OVERHEAD, JOURNAL_HEADER_SIZE, MAX_FRAME } from '../../../format/journal-codec.ts';
import type { StoredObject } from '../../../stores/store.ts';
import type { ImageContext } from '../../objects/image-context.ts';

/** Bytes of a tail that are read at a time. */
const PIECE = 64 << 10;

/**
 * What follows the last frame: nothing; the beginning of a frame that was being written, or space taken for one; or
 * bytes that no writer leaves there.
 */
export type JournalTail = 'none' | 'torn' | 'garbage';

/** A journal that a writer left: the longest run of frames from its start that authenticate. */
export class JournalReader {
  readonly #location: string;
  readonly #file: StoredObject;
  readonly #cipher: JournalCipher;
  readonly #geometry: Geometry;

  private constructor(location: string, file: StoredObject, cipher: JournalCipher, geometry: Geometry) {
    this.#geometry = geometry;
    this.#location = location;
    this.#file = file;
    this.#cipher = cipher;
  }

  /**
   * Opens a journal.
   * @param file the journal, which {@link close} closes, as does this when it fails
   * @throws CkptfsError `damaged`, `io`
   */
  static open({ store, header, imageKey, geometry }: ImageContext, file: StoredObject): JournalReader {
    const { location } = store;
    try {
      const journalHeader = new Region(JOURNAL_HEADER_SIZE);
      const read = file.read(journalHeader, 0, JOURNAL_HEADER_SIZE, 0);
      const bytes = journalHeader.bytes.subarray(0, read);
      const cipher = parsed(
        location,
        () => new JournalCipher(primitives(), imageKey, header.imageId, bytes, header.suite),
      );
      return new JournalReader(location, file, cipher, geometry);
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** Returns the epoch of the seal that it continues, or 0 if there was none. @throws CkptfsError `damaged`, `io` */
  epoch(): number {
    const [first] = this.frames().next().value ?? [];
    if (typeof first !== 'object' || first.kind !== 'base') throw journalDamaged(this.#location, 'it has no beginning');
    return first.epoch;
  }

  /**
   * Yields the entries of each frame, in order, and returns what follows them.
   * @throws CkptfsError `damaged` for a frame that authenticates and does not parse, `io`
   */
  *frames(): Generator<JournalEntry[], JournalTail> {
    const length = new Region(4);
    let position = JOURNAL_HEADER_SIZE;
    for (let number = 0; position < this.#file.size; number++) {
      const rest = this.#file.size - position;
      if (rest < length.length || this.#file.read(length, 0, length.length, position) !== length.length) return 'torn';
      const entriesLength = length.view.getUint32(0, true);
      if (entriesLength < 1 && this.#isZeros(position)) return 'torn';
      if (entriesLength < 1 || entriesLength > MAX_FRAME) return 'garbage';
      if (rest < entriesLength + FRAME_OVERHEAD) return 'torn';
      const frame = new Region(entriesLength + FRAME_OVERHEAD);
      if (this.#file.read(frame, 0, frame.length, position) !== frame.length) return 'torn';
      const plain = this.#cipher.open(number, frame.bytes);
      if (plain === undefined) return 'garbage';
      yield parsed(this.#location, () => decodeEntries(plain, this.#geometry));
      position += frame.length;
    }
    return 'none';
  }

  /**
   * Returns whether there are only zeros from `position` on: space that was taken, and what was written there never
   * reached the disk.
   */
  #isZeros(position: number): boolean {
    const piece = new Region(PIECE);
    for (let next = position; next < this.#file.size; ) {
      const read = this.#file.read(piece, 0, Math.min(PIECE, this.#file.size - next), next);
      if (read === 0) break;
      if (piece.bytes.subarray(0, read).some((byte) => byte !== 0)) return false;
      next += read;
    }
    return true;
  }

  close(): void {
    this.#cipher.dispose();
    this.#file.close();
  }
}

/** Parses, and takes what does not parse for damage. */
function parsed<T>(location: string, parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    if (!(cause instanceof MalformedError)) throw cause;
    throw journalDamaged(location, cause.message);
  }
}

/** Makes the error of a journal that is damaged. */
export function journalDamaged(location: string, reason: string): CkptfsError {
  return new CkptfsError('damaged', `${location}: its journal is damaged: ${reason}`, { path: location });
}
