import { basename } from 'node:path';
import { ioError, systemErrorName } from '../base/errors.ts';
import { Directory } from '../base/linux/directory.ts';
import { removeFile } from './local-files.ts';
import { keepReadersOut } from './readers-lock.ts';

/** Files of an image beside its objects, in the order of removal: what is left after an interruption counts as unfinished. */
const files = ['manifest', 'journal', 'lock', 'ckptfs.json'] as const;
const drafts = files.map((name) => `${name}.new`);

/**
 * Removes an image whole: its files, its objects and, unless it was there before, its directory. Below the directory no link is followed, and
 * nothing is removed but names that an image has, so what is no part of it stays, and so does the directory then. Readers and writers are kept
 * out meanwhile.
 * @param identity of its directory: `DEVICE:INODE`
 * @returns false, with nothing removed, when another directory stands there
 * @throws CkptfsError `locked`, with nothing removed, while it is read or written; `io`
 */
export function discardDirectory(path: string, identity: string, isNew: boolean): boolean {
  try {
    const isRemoved = withDirectory(
      () => Directory.open(path),
      (image) => {
        if (identityOf(image) !== identity) return false;
        const lock = keepReadersOut(image);
        try {
          removeFiles(image);
          if (isNew) removeImage(path, identity);
        } finally {
          lock.release();
        }
        return true;
      },
    );
    return isRemoved === true;
  } catch (cause) {
    throw ioError('remove', path, cause);
  }
}

function removeFiles(image: Directory): void {
  for (const name of [...files, ...drafts]) removeFile(image, name);
  withDirectory(() => image.openDirectory('objects', { sameMount: true }), removeObjects);
  removeIfEmpty(image, 'objects');
}

function removeObjects(objects: Directory): void {
  for (const prefix of namesIn(objects).filter((name) => /^[0-9a-f]{2}$/.test(name))) {
    withDirectory(
      () => objects.openDirectory(prefix, { sameMount: true }),
      (directory) => {
        for (const name of namesIn(directory).filter((name) => /^[0-9a-f]{32}$/.test(name))) directory.unlink(name);
      },
    );
    removeIfEmpty(objects, prefix);
  }
}

/** Removes the directory of the image by its name in the one above it, if it still is there. */
function removeImage(path: string, identity: string): void {
  withDirectory(
    () => Directory.open(`${path}/..`),
    (parent) => {
      const name = basename(path);
      const found = parent.lstat(name);
      if (found !== undefined && `${found.dev}:${found.ino}` === identity) removeIfEmpty(parent, name);
    },
  );
}

/** Does nothing, and returns undefined, where there is no directory, or something that is not followed has its name. */
function withDirectory<T>(open: () => Directory, work: (directory: Directory) => T): T | undefined {
  let directory: Directory;
  try {
    directory = open();
  } catch (cause) {
    if (['ENOENT', 'ENOTDIR', 'ELOOP', 'EXDEV'].includes(systemErrorName(cause) ?? '')) return undefined;
    throw cause;
  }
  try {
    return work(directory);
  } finally {
    directory.close();
  }
}

function namesIn(directory: Directory): string[] {
  return directory.names().map(String);
}

function removeIfEmpty(parent: Directory, name: string): void {
  try {
    parent.rmdir(name);
  } catch (cause) {
    if (!['ENOENT', 'ENOTDIR', 'ENOTEMPTY', 'EEXIST'].includes(systemErrorName(cause) ?? '')) throw cause;
  }
}

function identityOf(directory: Directory): string {
  const { dev, ino } = directory.stat();
  return `${dev}:${ino}`;
}
