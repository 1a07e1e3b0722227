import fs from 'node:fs';
import { join } from 'node:path';
import { CkptfsError, ioError } from '../base/errors.ts';
import { tryLock } from '../base/posix.ts';
import { printableName } from '../base/printable.ts';
import { openToWrite } from './local-files.ts';
import type { StoreLock } from './writable-store.ts';

const { O_CREAT, O_RDWR } = fs.constants;
/** Bytes of a holder's line that are looked at. */
const MAX_HOLDER = 200;
/** How often the file may go away between opening and locking it, since its holder removes it at the end. */
const TRIES = 10;

/**
 * A file that is locked as long as its holder lives, and says who that is. The holder removes it, so a lock counts only while the path
 * still leads to the locked file.
 */
export class LocalLock implements StoreLock {
  readonly #path: string;
  readonly #fd: number;

  private constructor(path: string, fd: number) {
    this.#path = path;
    this.#fd = fd;
  }

  /** @param holder one short line @throws CkptfsError `locked`, `damaged` when it is no regular file, `io` */
  static take(directory: string, holder: string): LocalLock {
    const path = join(directory, 'lock');
    for (let left = TRIES; left > 0; left--) {
      const fd = openToWrite(path, O_RDWR | O_CREAT);
      if (fd === undefined) throw new CkptfsError('io', `${directory} does not exist`, { path: directory });
      try {
        if (!tryLock(fd)) throw locked(directory, readHolder(fd));
        if (leadsTo(path, fd)) {
          fs.ftruncateSync(fd, 0);
          fs.writeSync(fd, `${holder}\n`, 0);
          return new LocalLock(path, fd);
        }
      } catch (cause) {
        fs.closeSync(fd);
        throw ioError('lock', path, cause);
      }
      fs.closeSync(fd);
    }
    throw new CkptfsError('io', `cannot lock ${path}: it does not stay in its place`, { path });
  }

  release(): void {
    try {
      if (leadsTo(this.#path, this.#fd)) fs.unlinkSync(this.#path);
    } catch (cause) {
      throw ioError('remove', this.#path, cause);
    } finally {
      fs.closeSync(this.#fd);
    }
  }
}

function leadsTo(path: string, fd: number): boolean {
  const there = fs.lstatSync(path, { bigint: true, throwIfNoEntry: false });
  const here = fs.fstatSync(fd, { bigint: true });
  return there?.ino === here.ino && there.dev === here.dev;
}

function readHolder(fd: number): string {
  const bytes = Buffer.alloc(MAX_HOLDER);
  const length = fs.readSync(fd, bytes, 0, MAX_HOLDER, 0);
  const end = bytes.indexOf('\n');
  return printableName(bytes.subarray(0, end < 0 ? length : Math.min(end, length)));
}

function locked(directory: string, holder: string): CkptfsError {
  // Between locking and writing there is a moment without a name.
  const who = holder === '' ? 'another process' : holder;
  return new CkptfsError('locked', `${directory} is being written by ${who}`, {
    path: directory,
    advice: 'An image has one writer at a time: unmount it there, or wait.',
  });
}
