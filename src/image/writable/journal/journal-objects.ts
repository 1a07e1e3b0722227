import { invariant } from '../../../base/assert.ts';
import type { Geometry } from '../../../format/geometry.ts';
import type { JournalEntry } from '../../../format/journal.ts';
import type { LiveObject, ObjectTable } from '../model/object-table.ts';
import type { ChunkEntries } from '../model/pending-contents.ts';

/** Numbers objects as the journal does: those that it has, and, while a frame is made, those that the frame begins. */
export class JournalObjects implements ChunkEntries {
  readonly #table: ObjectTable;
  readonly #geometry: Geometry;
  /** How many objects the journal has. */
  #count: number;
  #begun: LiveObject[] = [];

  constructor(table: ObjectTable, count: number, geometry: Geometry) {
    this.#table = table;
    this.#geometry = geometry;
    this.#count = count;
  }

  /**
   * Finds number and records, as {@link ChunkEntries} describes. The frame begins the object if the journal does not
   * have it.
   */
  of(index: number, objectChunk: number, count: number): { readonly object: number; readonly records: Buffer } {
    const object = this.#table.at(index);
    const { chunksPerGroup, recordSize } = this.#geometry;
    const records = Buffer.alloc(count * recordSize);
    for (let done = 0; done < count; ) {
      const chunk = objectChunk + done;
      const part = Math.min(count - done, chunksPerGroup - (chunk % chunksPerGroup));
      const page = object.growing?.page(this.#geometry.groupOf(chunk));
      invariant(page !== undefined, 'W4', { object: object.name, chunk });
      const start = this.#geometry.recordOffset(chunk);
      page.bytes.copy(records, done * recordSize, start, start + part * recordSize);
      done += part;
    }
    return { object: object.number ?? this.#numberOfBegun(object), records };
  }

  /** Returns the entries of the objects that the frame begins, which come before those of their chunks. */
  begun(): JournalEntry[] {
    return this.#begun.map(({ id }) => ({ kind: 'object', id, chunks: 0, digests: Buffer.alloc(0) }));
  }

  /** Numbers the objects that the frame began: it was appended. */
  adopt(): void {
    for (const object of this.#begun) object.number = this.#count++;
    this.#begun = [];
  }

  /** Forgets the objects that the frame would have begun: it was not appended. */
  forget(): void {
    this.#begun = [];
  }

  #numberOfBegun(object: LiveObject): number {
    const known = this.#begun.indexOf(object);
    return this.#count + (known < 0 ? this.#begun.push(object) - 1 : known);
  }
}
