import { CkptfsError } from '../../src/base/errors.ts';
import type { NamedFile, Store, StoredObject, StoreIdentity, StoreListing, StoreLock } from '../../src/stores/store.ts';

/** A store that holds what a test puts there: hostile bytes without a file system. */
export class MemoryStore implements Store {
  readonly location = 'memory';
  readonly place = 'memory';
  readonly named = new Map<NamedFile | 'journal', Uint8Array>();
  /** By id. */
  readonly objects = new Map<string, Uint8Array>();

  identity(): StoreIdentity {
    return { device: '0', inode: '0' };
  }

  lockForReading(): StoreLock {
    return { release: () => undefined };
  }

  readNamed(name: NamedFile, limit: number): Buffer | undefined {
    const bytes = this.named.get(name);
    if (bytes === undefined) return undefined;
    if (bytes.length > limit) throw new CkptfsError('damaged', `${name} is longer than ${limit} bytes`);
    return Buffer.from(bytes);
  }

  sizeOf(name: NamedFile): number | undefined {
    return this.named.get(name)?.length;
  }

  has(name: NamedFile | 'journal'): boolean {
    return this.named.has(name);
  }

  wasBegun(): boolean {
    return this.objects.size > 0;
  }

  openObject(id: string): StoredObject {
    const bytes = this.objects.get(id);
    if (bytes === undefined) throw new CkptfsError('damaged', `object ${id} is missing`);
    return {
      size: bytes.length,
      read: (to, toOffset, length, position) => {
        const part = bytes.subarray(position, position + length);
        to.bytes.subarray(toOffset, toOffset + length).set(part);
        return part.length;
      },
      close: () => undefined,
    };
  }

  list(): StoreListing {
    return { objects: [...this.objects].map(([id, { length }]) => ({ id, size: length })), unexpected: [] };
  }

  close(): void {}
}
