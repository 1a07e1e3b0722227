import { fdatasyncSync, ftruncateSync } from 'node:fs';
import { ioError } from '../base/errors.ts';
import { closeDescriptor } from '../base/linux/descriptors.ts';
import { punchHole, readAt, writeAt } from '../base/linux/files.ts';
import type { Region } from '../base/linux/native.ts';
import type { Where } from './local-files.ts';
import type { StoredObject } from './store.ts';
import type { WritableObject } from './writable-store.ts';

/** An open file of an image. */
class LocalFile {
  protected readonly where: Where;
  protected readonly fd: number;

  constructor(where: Where, fd: number) {
    this.where = where;
    this.fd = fd;
  }

  read(to: Region, toOffset: number, length: number, position: number): number {
    try {
      return readAt(this.fd, to, toOffset, length, position);
    } catch (cause) {
      throw ioError('read', this.where(), cause);
    }
  }

  /** @throws CkptfsError `io`: some file systems say only now that they could not store what was written */
  close(): void {
    try {
      closeDescriptor(this.fd);
    } catch (cause) {
      throw ioError('close', this.where(), cause);
    }
  }
}

export class LocalObject extends LocalFile implements StoredObject {
  readonly size: number;

  constructor(where: Where, fd: number, size: number) {
    super(where, fd);
    this.size = size;
  }
}

export class LocalWritableObject extends LocalFile implements WritableObject {
  write(from: Region, fromOffset: number, length: number, position: number): void {
    try {
      writeAt(this.fd, from, fromOffset, length, position);
    } catch (cause) {
      throw ioError('write', this.where(), cause);
    }
  }

  punch(position: number, length: number): boolean {
    try {
      return punchHole(this.fd, position, length);
    } catch (cause) {
      throw ioError('punch a hole into', this.where(), cause);
    }
  }

  truncate(size: number): void {
    try {
      ftruncateSync(this.fd, size);
    } catch (cause) {
      throw ioError('change the size of', this.where(), cause);
    }
  }

  sync(): void {
    try {
      fdatasyncSync(this.fd);
    } catch (cause) {
      throw ioError('make durable', this.where(), cause);
    }
  }
}
