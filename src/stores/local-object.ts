import fs from 'node:fs';
import { ioError } from '../base/errors.ts';
import type { Region } from '../base/native.ts';
import { punchHole, readAt, writeAt } from '../base/posix.ts';
import type { StoredObject } from './store.ts';
import type { WritableObject } from './writable-store.ts';

/** A file of an image, open. */
class LocalFile {
  protected readonly path: string;
  protected readonly fd: number;

  constructor(path: string, fd: number) {
    this.path = path;
    this.fd = fd;
  }

  read(to: Region, toOffset: number, length: number, position: number): number {
    try {
      return readAt(this.fd, to, toOffset, length, position);
    } catch (cause) {
      throw ioError('read', this.path, cause);
    }
  }

  close(): void {
    fs.closeSync(this.fd);
  }
}

export class LocalObject extends LocalFile implements StoredObject {
  readonly size: number;

  constructor(path: string, fd: number, size: number) {
    super(path, fd);
    this.size = size;
  }
}

export class LocalWritableObject extends LocalFile implements WritableObject {
  write(from: Region, fromOffset: number, length: number, position: number): void {
    try {
      writeAt(this.fd, from, fromOffset, length, position);
    } catch (cause) {
      throw ioError('write', this.path, cause);
    }
  }

  punch(position: number, length: number): boolean {
    try {
      return punchHole(this.fd, position, length);
    } catch (cause) {
      throw ioError('punch a hole into', this.path, cause);
    }
  }

  truncate(size: number): void {
    try {
      fs.ftruncateSync(this.fd, size);
    } catch (cause) {
      throw ioError('change the size of', this.path, cause);
    }
  }

  sync(): void {
    try {
      fs.fdatasyncSync(this.fd);
    } catch (cause) {
      throw ioError('make durable', this.path, cause);
    }
  }
}
