import type { Where } from './local-files.ts';
import { LocalWritableObject } from './local-object.ts';
import { LocalWritableStore } from './local-writable-store.ts';
import type { JournalDraft, JournalFile, WritableObject } from './writable-store.ts';

/**
 * The store of an image that nothing opens after its writer has ended (format.md §4). So nothing is made durable, and
 * of its journal only the size is kept.
 */
export class EphemeralStore extends LocalWritableStore {
  override beginJournal(): JournalDraft {
    return new CountedJournal();
  }

  override syncNames(): void {
    // No name has to outlive this process.
  }

  protected override writableObject(where: Where, fd: number): WritableObject {
    return new UnsyncedObject(where, fd);
  }
}

class UnsyncedObject extends LocalWritableObject {
  override sync(): void {
    // No byte has to outlive this process.
  }
}

/** A journal that nothing will read. Its size says when it would be renewed, which gives dead objects back. */
class CountedJournal implements JournalDraft, JournalFile {
  size = 0;

  append(bytes: Uint8Array): void {
    this.size += bytes.length;
  }

  publish(): JournalFile {
    return this;
  }

  discard(): void {
    // There is no file.
  }

  sync(): void {
    // As above.
  }

  close(): void {
    // As above.
  }
}
