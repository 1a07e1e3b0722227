import { invariant } from '../../../base/assert.ts';
import type { JournalEntry } from '../../../format/journal.ts';
import type { Extent } from '../../../format/manifest.ts';
import type { FileChunks } from '../model/file-chunks.ts';
import { inodeEntry } from '../model/inode-entry.ts';
import type { LiveFile } from '../model/live-inode.ts';
import type { LiveState } from '../model/live-tree.ts';

const EXTENTS_PER_ENTRY = 16384;

/**
 * A state as the beginning of a journal (W11). Its objects must be finished, and files with dirty chunks marked as
 * lost.
 */
export class Snapshot {
  readonly #state: LiveState;
  readonly #chunks: FileChunks;
  /** The number that each object gets, by index; undefined for an object of which nothing is in use. */
  readonly #numbers: (number | undefined)[] = [];
  /** How many objects it names. */
  readonly objectCount: number;

  constructor(state: LiveState, chunks: FileChunks) {
    this.#state = state;
    this.#chunks = chunks;
    let next = 0;
    for (const [index, { live }] of state.objects.objects.entries()) {
      this.#numbers[index] = live > 0 ? next++ : undefined;
    }
    this.objectCount = next;
  }

  /** Yields its entries, in the order that format.md §8 asks for. */
  *entries(): Generator<JournalEntry> {
    const { epoch, objects, tree } = this.#state;
    yield { kind: 'base', epoch };
    for (const [index, { id, chunks, digests, growing }] of objects.objects.entries()) {
      if (this.#numbers[index] === undefined) continue;
      invariant(growing === undefined, 'W11', { object: index });
      yield { kind: 'object', id, chunks, digests };
    }
    for (const inode of tree.inodes()) yield inodeEntry(inode);
    const names: JournalEntry[] = [];
    tree.walk((directory, key, inode) => {
      names.push({ kind: 'name', parent: directory.number, inode: inode.number, name: Buffer.from(key, 'latin1') });
    });
    yield* names;
    for (const inode of tree.inodes()) if (inode.type === 'file') yield* this.#extents(inode);
  }

  /** Gives the objects the numbers that they have in it: it has become the journal. */
  adopt(): void {
    for (const [index, object] of this.#state.objects.objects.entries()) object.number = this.#numbers[index];
  }

  *#extents(file: LiveFile): Generator<JournalEntry> {
    let extents: Extent[] = [];
    for (const { fileOffset, object, objectOffset, length } of this.#chunks.extents(file)) {
      extents.push({ fileOffset, object: this.#numbers[object] as number, objectOffset, length });
      if (extents.length < EXTENTS_PER_ENTRY) continue;
      yield { kind: 'extents', inode: file.number, extents };
      extents = [];
    }
    if (extents.length > 0) yield { kind: 'extents', inode: file.number, extents };
  }
}
