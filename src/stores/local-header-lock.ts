import { constants as fsConstants, fstatSync } from 'node:fs';
import { CkptfsError, ioError } from '../base/errors.ts';
import { closeDescriptor } from '../base/linux/descriptors.ts';
import { tryLock } from '../base/linux/files.ts';
import type { ImageDirectory } from './image-directory.ts';
import { openRegularFile } from './local-files.ts';
import type { StoreLock } from './store.ts';

const HEADER = 'ckptfs.json';
/** How often the header may be replaced between opening and locking it. */
const MAX_TRIES = 10;

/**
 * Locks the file of a header. The lock counts only while the name leads to that file, as every change puts another one
 * in its place.
 * @throws CkptfsError `locked`, `damaged` when it is missing or not a regular file, `io`
 */
export function lockHeader(directory: ImageDirectory): StoreLock {
  const path = (): string => directory.pathOf(HEADER);
  for (let left = MAX_TRIES; left > 0; left--) {
    const fd = openRegularFile(directory.root, HEADER, path, fsConstants.O_RDWR)?.fd;
    if (fd === undefined) {
      throw new CkptfsError('damaged', `${directory.pathOf()}: its header, ${HEADER}, is missing`, { path: path() });
    }
    try {
      if (!tryLock(fd)) throw locked(directory.pathOf());
      if (isInPlace(directory, fd)) return { release: () => closeDescriptor(fd) };
    } catch (cause) {
      closeDescriptor(fd);
      throw ioError('lock', path(), cause);
    }
    closeDescriptor(fd);
  }
  throw locked(directory.pathOf());
}

function isInPlace({ root }: ImageDirectory, fd: number): boolean {
  const there = root.lstat(HEADER);
  const here = fstatSync(fd, { bigint: true });
  return there?.ino === here.ino && there.dev === here.dev;
}

function locked(image: string): CkptfsError {
  return new CkptfsError('locked', `another process is changing the key slots or the signatures of ${image}`, {
    path: image,
    data: { holder: 'slot-change', wanted: 'writing' },
  });
}
