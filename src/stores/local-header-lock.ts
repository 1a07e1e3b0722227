import { constants as fsConstants, fstatSync } from 'node:fs';
import { CkptfsError, ioError } from '../base/errors.ts';
import { closeDescriptor } from '../base/linux/descriptors.ts';
import { tryLock } from '../base/linux/files.ts';
import type { ImageDirectory } from './image-directory.ts';
import { openRegularFile } from './local-files.ts';
import type { StoreLock } from './store.ts';

const HEADER = 'ckptfs.json';
/** How often the file may be replaced between opening and locking it. */
const MAX_TRIES = 10;

/**
 * Locks the file of a header.
 * @throws CkptfsError `locked`, `damaged` when it is missing or not a regular file, `io`
 */
export function lockHeader(directory: ImageDirectory): StoreLock {
  const lock = lockInPlace(directory, HEADER, () => lockedSlots(directory.pathOf()));
  if (lock !== undefined) return lock;
  const path = directory.pathOf(HEADER);
  throw new CkptfsError('damaged', `${directory.pathOf()}: its header, ${HEADER}, is missing`, { path });
}

/**
 * Locks a file at the top of an image. The lock counts only while the name leads to that file, as a change may put
 * another one in its place. Returns undefined when nothing of that name exists.
 * @param locked makes the error for a file that another process has locked
 * @throws CkptfsError `locked`, `damaged` when it is not a regular file, `io`
 */
export function lockInPlace(
  directory: ImageDirectory,
  name: string,
  locked: () => CkptfsError<'locked'>,
): StoreLock | undefined {
  const path = (): string => directory.pathOf(name);
  for (let left = MAX_TRIES; left > 0; left--) {
    const fd = openRegularFile(directory.root, name, path, fsConstants.O_RDWR)?.fd;
    if (fd === undefined) return undefined;
    try {
      if (!tryLock(fd)) throw locked();
      if (isInPlace(directory, name, fd)) return { release: () => closeDescriptor(fd) };
    } catch (cause) {
      closeDescriptor(fd);
      throw ioError('lock', path(), cause);
    }
    closeDescriptor(fd);
  }
  throw locked();
}

function isInPlace({ root }: ImageDirectory, name: string, fd: number): boolean {
  const there = root.lstat(name);
  const here = fstatSync(fd, { bigint: true });
  return there?.ino === here.ino && there.dev === here.dev;
}

function lockedSlots(image: string): CkptfsError<'locked'> {
  return new CkptfsError('locked', `another process is changing the key slots or the signatures of ${image}`, {
    path: image,
    data: { holder: 'slot-change', wanted: 'writing' },
  });
}
