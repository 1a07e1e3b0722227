import { CkptfsError, ioError } from '../base/errors.ts';
import { closeDescriptor } from '../base/linux/descriptors.ts';
import type { Directory } from '../base/linux/directory.ts';
import { readAt } from '../base/linux/files.ts';
import { Region } from '../base/linux/native.ts';
import { type HeldDirectory, ImageDirectory, type LocalPlace, type NamedDirectory } from './image-directory.ts';
import { openRegularFile } from './local-files.ts';
import { LocalObject } from './local-object.ts';
import { lockForReading } from './readers-lock.ts';
import type { NamedFile, Store, StoredObject, StoreIdentity, StoreListing, StoreLock } from './store.ts';

/** Bytes of one of the units of st_blocks, see stat(2). */
const STAT_BLOCK_SIZE = 512;

const OWN_NAMES: ReadonlySet<string> = new Set([
  'ckptfs.json',
  'manifest',
  'signatures',
  'replaces',
  'objects',
  'journal',
  'lock',
]);

/** An image in a directory of this host (format.md §2). The directory is held open. */
export class LocalStore implements Store {
  protected readonly directory: ImageDirectory;

  /**
   * Opens the directory.
   * @throws CkptfsError `not-an-image` when it is not a directory, `io` also when it does not exist
   */
  constructor(place: LocalPlace | NamedDirectory | ImageDirectory) {
    this.directory = place instanceof ImageDirectory ? place : ImageDirectory.open(place);
  }

  get location(): string {
    return this.directory.pathOf();
  }

  get place(): HeldDirectory {
    return { fd: this.directory.root.fd, path: this.location, name: this.directory.name };
  }

  identity(): StoreIdentity {
    const { dev, ino } = this.directory.root.stat();
    return { device: dev.toString(), inode: ino.toString() };
  }

  lockForReading(): StoreLock {
    return lockForReading(this.directory.root);
  }

  readNamed(name: NamedFile, limit: number): Buffer | undefined {
    return this.read(name, limit, (path, size) => {
      throw new CkptfsError('damaged', `${path} has ${size} bytes; at most ${limit} are possible`, { path });
    });
  }

  /** @param tooLarge is called for a file of more than `limit` bytes, which is not read then */
  protected read(name: string, limit: number, tooLarge: (path: string, size: number) => void): Buffer | undefined {
    const path = (): string => this.directory.pathOf(name);
    const file = openRegularFile(this.directory.root, name, path);
    if (file === undefined) return undefined;
    try {
      if (file.size > limit) {
        tooLarge(path(), file.size);
        return undefined;
      }
      const bytes = new Region(file.size);
      return bytes.bytes.subarray(0, readAt(file.fd, bytes, 0, file.size, 0));
    } catch (cause) {
      throw ioError('read', path(), cause);
    } finally {
      closeDescriptor(file.fd);
    }
  }

  sizeOf(name: NamedFile): number | undefined {
    const file = openRegularFile(this.directory.root, name, () => this.directory.pathOf(name));
    if (file === undefined) return undefined;
    closeDescriptor(file.fd);
    return file.size;
  }

  has(name: NamedFile | 'journal' | 'signatures.new'): boolean {
    return this.#exists(name);
  }

  wasBegun(): boolean {
    return this.#exists('objects') || this.#exists('ckptfs.json.new');
  }

  openObject(id: string): StoredObject {
    const path = (): string => this.directory.objectPath(id);
    const file = this.directory.withPrefixOf(id, (prefix) => prefix && openRegularFile(prefix, id, path));
    if (file === undefined) throw new CkptfsError('damaged', `object ${id} is missing`, { path: path() });
    return new LocalObject(path, file.fd, file.size);
  }

  list(): StoreListing {
    const objects: { id: string; size: number }[] = [];
    const unexpected: string[] = [];
    const all = this.directory.objects();
    for (const prefix of all === undefined ? [] : this.#namesIn(all)) {
      if (/^[0-9a-f]{2}$/.test(prefix)) this.#listPrefix(prefix, objects, unexpected);
      else unexpected.push(`objects/${prefix}`);
    }
    for (const name of this.#namesIn(this.directory.root)) {
      if (!OWN_NAMES.has(name) && !name.endsWith('.new')) unexpected.push(name);
    }
    return { objects, unexpected };
  }

  close(): void {
    this.directory.close();
  }

  #listPrefix(prefix: string, objects: { id: string; size: number }[], unexpected: string[]): void {
    const directory = this.directory.openPrefix(prefix);
    if (directory === undefined) return;
    try {
      for (const name of this.#namesIn(directory)) {
        const known = /^[0-9a-f]{32}$/.test(name) && name.startsWith(prefix);
        const size = known ? this.#dataSize(directory, name) : undefined;
        if (size !== undefined) objects.push({ id: name, size });
        else unexpected.push(`objects/${prefix}/${name}`);
      }
    } finally {
      directory.close();
    }
  }

  #namesIn(directory: Directory): string[] {
    try {
      return directory.names().map(String);
    } catch (cause) {
      throw ioError('list', directory.path(), cause);
    }
  }

  /** Returns the bytes of a file that are not in holes; undefined if it is gone or not a regular file. */
  #dataSize(directory: Directory, id: string): number | undefined {
    try {
      const stat = directory.lstat(id);
      if (stat?.isFile() !== true) return undefined;
      return Math.min(Number(stat.size), Number(stat.blocks) * STAT_BLOCK_SIZE);
    } catch (cause) {
      throw ioError('look at', this.directory.objectPath(id), cause);
    }
  }

  #exists(name: string): boolean {
    try {
      return this.directory.root.lstat(name) !== undefined;
    } catch (cause) {
      throw ioError('look at', this.directory.pathOf(name), cause);
    }
  }
}
