import fs from 'node:fs';
import { dirname, join } from 'node:path';
import { ioError } from '../base/errors.ts';
import type { Region } from '../base/native.ts';
import { makeEmptyDirectory } from './empty-directory.ts';
import { syncPath } from './local-files.ts';
import { objectPath } from './local-store.ts';
import type { NamedFile, StoreWriter, WritableObject } from './store.ts';

/** Fills a directory that {@link LocalStoreWriter.create} found missing or empty. */
export class LocalStoreWriter implements StoreWriter {
  readonly location: string;
  readonly #objects: string[] = [];

  private constructor(directory: string) {
    this.location = directory;
  }

  /** Takes a directory that does not exist (its parent does) or is empty. @throws CkptfsError `exists`, `io` */
  static create(directory: string): LocalStoreWriter {
    makeEmptyDirectory(directory);
    const objects = join(directory, 'objects');
    try {
      fs.mkdirSync(objects, 0o700);
    } catch (cause) {
      throw ioError('create', objects, cause);
    }
    return new LocalStoreWriter(directory);
  }

  /** For a further thread: only {@link openObjectForWriting} makes sense on it. */
  static attach(directory: string): LocalStoreWriter {
    return new LocalStoreWriter(directory);
  }

  createObject(id: string, size: number): void {
    const path = objectPath(this.location, id);
    try {
      fs.mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      const fd = fs.openSync(path, 'wx', 0o600);
      try {
        fs.ftruncateSync(fd, size);
      } finally {
        fs.closeSync(fd);
      }
    } catch (cause) {
      throw ioError('create', path, cause);
    }
    this.#objects.push(id);
  }

  openObjectForWriting(id: string): WritableObject {
    const path = objectPath(this.location, id);
    const { O_NOFOLLOW, O_NONBLOCK, O_WRONLY } = fs.constants;
    try {
      return new LocalWritableObject(path, fs.openSync(path, O_WRONLY | O_NOFOLLOW | O_NONBLOCK));
    } catch (cause) {
      throw ioError('open', path, cause);
    }
  }

  publish(name: NamedFile, bytes: Uint8Array): void {
    const path = join(this.location, name);
    const draft = `${path}.new`;
    try {
      fs.rmSync(draft, { force: true });
      fs.writeFileSync(draft, bytes, { flag: 'wx', mode: 0o600, flush: true });
      fs.renameSync(draft, path);
    } catch (cause) {
      throw ioError('write', path, cause);
    }
    syncPath(this.location);
  }

  sync(): void {
    const directories = new Set([join(this.location, 'objects'), this.location, dirname(this.location)]);
    for (const id of this.#objects) {
      const path = objectPath(this.location, id);
      syncPath(path);
      directories.add(dirname(path));
    }
    for (const directory of directories) syncPath(directory);
  }
}

class LocalWritableObject implements WritableObject {
  readonly #path: string;
  readonly #fd: number;

  constructor(path: string, fd: number) {
    this.#path = path;
    this.#fd = fd;
  }

  write(from: Region, fromOffset: number, length: number, position: number): void {
    try {
      let done = 0;
      while (done < length) {
        done += fs.writeSync(this.#fd, from.bytes, fromOffset + done, length - done, position + done);
      }
    } catch (cause) {
      throw ioError('write', this.#path, cause);
    }
  }

  close(): void {
    fs.closeSync(this.#fd);
  }
}
