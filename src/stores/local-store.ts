import fs from 'node:fs';
import { join } from 'node:path';
import { CkptfsError, ioError, systemErrorName } from '../base/errors.ts';
import { Region } from '../base/native.ts';
import { readAt } from '../base/posix.ts';
import { openRegularFile } from './local-files.ts';
import { LocalObject } from './local-object.ts';
import type { NamedFile, Store, StoredObject, StoreListing } from './store.ts';

/** Of st_blocks, see stat(2). */
const BLOCK_SIZE = 512;

const ownNames: ReadonlySet<string> = new Set(['ckptfs.json', 'manifest', 'objects', 'journal', 'lock']);

/** An image in a directory of this host (format.md §2). */
export class LocalStore implements Store {
  readonly location: string;

  constructor(directory: string) {
    this.location = directory;
  }

  readNamed(name: NamedFile, limit: number): Buffer | undefined {
    const path = join(this.location, name);
    const file = openRegularFile(path);
    if (file === undefined) return undefined;
    try {
      if (file.size > limit) {
        throw new CkptfsError('damaged', `${path} has ${file.size} bytes; at most ${limit} are possible`, { path });
      }
      const bytes = new Region(file.size);
      return bytes.bytes.subarray(0, readAt(file.fd, bytes, 0, file.size, 0));
    } catch (cause) {
      throw ioError('read', path, cause);
    } finally {
      fs.closeSync(file.fd);
    }
  }

  sizeOf(name: NamedFile): number | undefined {
    const file = openRegularFile(join(this.location, name));
    if (file === undefined) return undefined;
    fs.closeSync(file.fd);
    return file.size;
  }

  has(name: NamedFile | 'journal'): boolean {
    return this.#exists(name);
  }

  begun(): boolean {
    if (!this.#exists('')) throw new CkptfsError('io', `${this.location} does not exist`, { path: this.location });
    return this.#exists('objects') || this.#exists('ckptfs.json.new');
  }

  openObject(id: string): StoredObject {
    const path = objectPath(this.location, id);
    const file = openRegularFile(path);
    if (file === undefined) throw new CkptfsError('damaged', `object ${id} is missing`, { path });
    return new LocalObject(path, file.fd, file.size);
  }

  list(): StoreListing {
    const objects: { id: string; size: number }[] = [];
    const strangers: string[] = [];
    for (const directory of readDirectory(join(this.location, 'objects'))) {
      if (!directory.isDirectory() || !/^[0-9a-f]{2}$/.test(directory.name)) {
        strangers.push(join('objects', directory.name));
        continue;
      }
      for (const file of readDirectory(join(this.location, 'objects', directory.name))) {
        const known = /^[0-9a-f]{32}$/.test(file.name) && file.name.startsWith(directory.name);
        const size = known ? this.#dataSize(objectPath(this.location, file.name)) : undefined;
        if (size !== undefined) objects.push({ id: file.name, size });
        else strangers.push(join('objects', directory.name, file.name));
      }
    }
    for (const file of readDirectory(this.location)) {
      if (!ownNames.has(file.name) && !file.name.endsWith('.new')) strangers.push(file.name);
    }
    return { objects, strangers };
  }

  close(): void {}

  /** Bytes without holes; undefined for what is no regular file, or has gone. */
  #dataSize(path: string): number | undefined {
    try {
      const stat = fs.lstatSync(path, { throwIfNoEntry: false });
      return stat?.isFile() === true ? Math.min(stat.size, stat.blocks * BLOCK_SIZE) : undefined;
    } catch (cause) {
      throw ioError('look at', path, cause);
    }
  }

  #exists(name: string): boolean {
    const path = join(this.location, name);
    try {
      return fs.lstatSync(path, { throwIfNoEntry: false }) !== undefined;
    } catch (cause) {
      if (systemErrorName(cause) === 'ENOTDIR') return false;
      throw ioError('look at', path, cause);
    }
  }
}

/** The path of an object below an image's directory. */
export function objectPath(directory: string, id: string): string {
  return join(directory, 'objects', id.slice(0, 2), id);
}

function readDirectory(path: string): fs.Dirent[] {
  try {
    return fs.readdirSync(path, { withFileTypes: true });
  } catch (cause) {
    if (systemErrorName(cause) === 'ENOENT') return [];
    throw ioError('list', path, cause);
  }
}
