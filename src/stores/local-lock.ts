import { constants as fsConstants, fstatSync, ftruncateSync, readSync, writeSync } from 'node:fs';
import { CkptfsError, ioError } from '../base/errors.ts';
import { closeDescriptor } from '../base/linux/descriptors.ts';
import { tryLock } from '../base/linux/files.ts';
import { printableName } from '../base/printable.ts';
import type { ImageDirectory } from './image-directory.ts';
import { openToWrite } from './local-files.ts';
import { keepReadersOut, type ReadersKeptOut } from './readers-lock.ts';
import type { WriterLock } from './writable-store.ts';

const { O_CREAT, O_RDWR } = fsConstants;
const LOCK = 'lock';
/** The longest line about a holder that is read. */
const MAX_HOLDER_BYTES = 200;
/** How often the file may disappear between opening and locking it: its holder removes it at the end. */
const MAX_TRIES = 10;

/**
 * The lock of a writer: a file that is locked as long as its holder lives and that names the holder, and a lock on the
 * directory that keeps readers out. The holder removes the file, so the lock counts only while the name leads to it.
 */
export class LocalLock implements WriterLock {
  readonly #directory: ImageDirectory;
  readonly #fd: number;
  #readers: ReadersKeptOut | undefined;

  private constructor(directory: ImageDirectory, fd: number) {
    this.#directory = directory;
    this.#fd = fd;
  }

  /**
   * Takes the lock.
   * @param holder one short line that names this process
   * @throws CkptfsError `locked` by a writer or a reader, `damaged` when it is not a regular file, `io`
   */
  static take(directory: ImageDirectory, holder: string): LocalLock {
    const lock = new LocalLock(directory, takeFile(directory, holder));
    try {
      lock.#readers = keepReadersOut(directory.root);
      return lock;
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  get unseenReaders(): string | undefined {
    return this.#readers?.unseen;
  }

  release(): void {
    try {
      if (isInPlace(this.#directory, this.#fd)) this.#directory.root.unlink(LOCK);
    } catch (cause) {
      throw ioError('remove', this.#directory.pathOf(LOCK), cause);
    } finally {
      closeDescriptor(this.#fd);
      this.#readers?.release();
    }
  }
}

function takeFile(directory: ImageDirectory, holder: string): number {
  const path = (): string => directory.pathOf(LOCK);
  for (let left = MAX_TRIES; left > 0; left--) {
    const fd = openToWrite(directory.root, LOCK, path, O_RDWR | O_CREAT);
    if (fd === undefined) throw new CkptfsError('io', `${directory.pathOf()} does not exist`, { path: path() });
    try {
      if (!tryLock(fd)) throw locked(directory.pathOf(), readHolder(fd));
      if (isInPlace(directory, fd)) {
        ftruncateSync(fd, 0);
        writeSync(fd, `${holder}\n`, 0);
        return fd;
      }
    } catch (cause) {
      closeDescriptor(fd);
      throw ioError('lock', path(), cause);
    }
    closeDescriptor(fd);
  }
  throw new CkptfsError('io', `cannot lock ${path()}: it does not stay in its place`, { path: path() });
}

function isInPlace({ root }: ImageDirectory, fd: number): boolean {
  const there = root.lstat(LOCK);
  const here = fstatSync(fd, { bigint: true });
  return there?.ino === here.ino && there.dev === here.dev;
}

function readHolder(fd: number): string {
  const bytes = Buffer.alloc(MAX_HOLDER_BYTES);
  const length = readSync(fd, bytes, 0, MAX_HOLDER_BYTES, 0);
  const end = bytes.indexOf('\n');
  return printableName(bytes.subarray(0, end < 0 ? length : Math.min(end, length)));
}

function locked(directory: string, holder: string): CkptfsError {
  // A holder that has just locked the file has not written its line yet.
  const who = holder === '' ? 'another process' : holder;
  return new CkptfsError('locked', `${directory} is being written by ${who}`, {
    path: directory,
    data: { holder: 'writer', wanted: 'writing' },
  });
}
