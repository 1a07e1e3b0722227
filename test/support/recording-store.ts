import { CkptfsError, ioError } from '../../src/base/errors.ts';
import type { Region } from '../../src/base/linux/native.ts';
import type { NamedFile, StoredObject, StoreIdentity, StoreListing, StoreLock } from '../../src/stores/store.ts';
import type {
  JournalDraft,
  JournalFile,
  StoreSpace,
  WritableObject,
  WritableStore,
  WriterLock,
} from '../../src/stores/writable-store.ts';
import { type DiskFile, type DiskOperation, MemoryDisk } from './memory-disk.ts';

/** Called with each operation before it is done; what it returns is thrown instead, after a part of it was done. */
export type Fault = (operation: DiskOperation) => Error | undefined;

/** A system error as Node throws it. */
export function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: injected`), { code });
}

/**
 * Makes a store refuse what is written to objects, and take what is written to the journal: as a quota nearly used up
 * does.
 */
export function refuseObjects(store: RecordingStore, code: string): void {
  const objects = new Set<number>();
  store.fault = (operation) => {
    if (operation.kind === 'create' && operation.name.startsWith('objects/')) return systemError(code);
    for (const [name, file] of store.disk.names) if (name.startsWith('objects/')) objects.add(file.number);
    return operation.kind === 'write' && objects.has(operation.file) ? systemError(code) : undefined;
  };
}

/** A store over a disk in memory, that does what the local one does in the same steps, and writes each of them down. */
export class RecordingStore implements WritableStore {
  readonly location = 'memory';
  readonly place = 'memory';
  readonly disk: MemoryDisk;
  readonly log: DiskOperation[] = [];
  fault: Fault | undefined;
  /** Whether holes can be punched. */
  canPunch = true;
  /** Whether the journal keeps, against its contract, what was written of a frame that could not be appended. */
  keepsRefused = false;
  #nextFile = 1;
  #isLocked = false;
  #objectNamesChanged = false;

  constructor(disk: MemoryDisk = new MemoryDisk()) {
    this.disk = disk;
    for (const { number } of disk.names.values()) this.#nextFile = Math.max(this.#nextFile, number + 1);
  }

  identity(): StoreIdentity {
    return { device: '0', inode: '0' };
  }

  lockHeader(): StoreLock {
    return { release: () => undefined };
  }

  lockForReading(): StoreLock {
    return { release: () => undefined };
  }

  readNamed(name: NamedFile, limit: number): Buffer | undefined {
    const file = this.disk.names.get(name);
    if (file === undefined) return undefined;
    if (file.size > limit) throw new CkptfsError('damaged', `${name} is longer than ${limit} bytes`);
    return file.read(0, file.size);
  }

  sizeOf(name: NamedFile): number | undefined {
    return this.disk.names.get(name)?.size;
  }

  has(name: NamedFile | 'journal'): boolean {
    return this.disk.names.has(name);
  }

  wasBegun(): boolean {
    return this.disk.names.size > 0;
  }

  openObject(id: string): StoredObject {
    const file = this.#object(id);
    return { size: file.size, read: reading(file), close: () => undefined };
  }

  list(): StoreListing {
    const objects: { id: string; size: number }[] = [];
    for (const [name, { size }] of this.disk.names) {
      if (name.startsWith('objects/')) objects.push({ id: name.slice('objects/'.length), size });
    }
    return { objects, unexpected: [] };
  }

  close(): void {}

  lock(): WriterLock {
    if (this.#isLocked)
      throw new CkptfsError('locked', 'another one has it', { data: { holder: 'writer', wanted: 'writing' } });
    this.#isLocked = true;
    return {
      unseenReaders: undefined,
      release: () => {
        this.#isLocked = false;
      },
    };
  }

  createObject(id: string): WritableObject {
    if (this.disk.names.has(`objects/${id}`)) throw new CkptfsError('io', `object ${id} exists`);
    this.#objectNamesChanged = true;
    return this.#writable(this.#create(`objects/${id}`));
  }

  openObjectForWriting(id: string): WritableObject {
    return this.#writable(this.#object(id));
  }

  removeObject(id: string): void {
    if (this.disk.names.has(`objects/${id}`)) this.#do({ kind: 'remove', name: `objects/${id}` });
    this.#objectNamesChanged = true;
  }

  publish(name: NamedFile, bytes: Uint8Array): void {
    const file = this.#create(`${name}.new`);
    this.#do({ kind: 'write', file: file.number, position: 0, bytes: Buffer.from(bytes) });
    this.#do({ kind: 'sync', file: file.number });
    this.#do({ kind: 'rename', name: `${name}.new`, to: name });
    this.#do({ kind: 'sync-names', directory: '' });
  }

  checkOverwritable(): void {
    throw new Error('no image of a test is overwritten here');
  }

  replaceOverwritten(): void {
    this.checkOverwritable();
  }

  readDraft(): undefined {
    this.checkOverwritable();
  }

  readJournal(): StoredObject | undefined {
    const file = this.disk.names.get('journal');
    return file && { size: file.size, read: reading(file), close: () => undefined };
  }

  beginJournal(): JournalDraft {
    const file = this.#journal(this.#create('journal.new'));
    return {
      append: (bytes) => file.append(bytes),
      publish: () => {
        file.sync();
        this.#do({ kind: 'rename', name: 'journal.new', to: 'journal' });
        this.#do({ kind: 'sync-names', directory: '' });
        return file;
      },
      discard: () => this.#do({ kind: 'remove', name: 'journal.new' }),
    };
  }

  removeSignatures(): void {
    for (const name of ['signatures.new', 'signatures']) {
      if (!this.disk.names.has(name)) continue;
      this.#do({ kind: 'remove', name });
      this.#do({ kind: 'sync-names', directory: '' });
    }
  }

  removeJournal(): void {
    this.#do({ kind: 'remove', name: 'journal' });
    this.#do({ kind: 'sync-names', directory: '' });
  }

  syncNames(): void {
    if (this.#objectNamesChanged) this.#do({ kind: 'sync-names', directory: 'objects' });
    this.#objectNamesChanged = false;
  }

  space(): StoreSpace {
    return { blockSize: 4096, blocks: 1_000_000, freeBlocks: 500_000 };
  }

  #object(id: string): DiskFile {
    const file = this.disk.names.get(`objects/${id}`);
    if (file === undefined) throw new CkptfsError('damaged', `object ${id} is missing`);
    return file;
  }

  #create(name: string): DiskFile {
    this.#do({ kind: 'create', file: this.#nextFile++, name });
    return this.disk.names.get(name) as DiskFile;
  }

  #writable(file: DiskFile): WritableObject {
    const { number } = file;
    return {
      write: (from, fromOffset, length, position) => {
        const bytes = Buffer.from(from.bytes.subarray(fromOffset, fromOffset + length));
        this.#do({ kind: 'write', file: number, position, bytes });
      },
      read: reading(file),
      punch: (position, length) => {
        if (this.canPunch) this.#do({ kind: 'punch', file: number, position, length });
        return this.canPunch;
      },
      truncate: (size) => this.#do({ kind: 'truncate', file: number, size }),
      sync: () => this.#do({ kind: 'sync', file: number }),
      close: () => undefined,
    };
  }

  #journal(file: DiskFile): JournalFile {
    const { number } = file;
    let size = 0;
    return {
      get size() {
        return size;
      },
      append: (bytes) => {
        if (this.keepsRefused) size = file.size;
        if (file.size > size) this.#do({ kind: 'truncate', file: number, size });
        try {
          this.#do({ kind: 'write', file: number, position: size, bytes: Buffer.from(bytes) });
        } catch (error) {
          if (this.keepsRefused) size = file.size;
          else if (file.size > size) this.#do({ kind: 'truncate', file: number, size });
          throw error;
        }
        size += bytes.length;
      },
      sync: () => this.#do({ kind: 'sync', file: number }),
      close: () => undefined,
    };
  }

  #do(operation: DiskOperation): void {
    const failure = this.fault?.(operation);
    if (failure === undefined) {
      this.log.push(operation);
      this.disk.apply(operation);
      return;
    }
    if (operation.kind === 'write') {
      const part = { ...operation, bytes: operation.bytes.subarray(0, Math.floor(operation.bytes.length / 2)) };
      this.log.push(part);
      this.disk.apply(part);
    }
    throw ioError(operation.kind, 'memory', failure);
  }
}

function reading(file: DiskFile): StoredObject['read'] {
  return (to: Region, toOffset: number, length: number, position: number): number => {
    const bytes = file.read(position, length);
    bytes.copy(to.bytes, toOffset);
    return bytes.length;
  };
}
