import { basename } from 'node:path';
import { ioError, systemErrorName } from '../base/errors.ts';
import { Directory } from '../base/linux/directory.ts';
import { removeFile } from './local-files.ts';
import { keepReadersOut } from './readers-lock.ts';

/**
 * Files of an image beside its objects, in the order of removal. What an interruption leaves counts as an unfinished
 * image.
 */
const FILES = ['manifest', 'signatures', 'journal', 'lock'] as const;
const HEADER = 'ckptfs.json';
const DRAFTS = [...FILES, HEADER].map((name) => `${name}.new`);

/**
 * Removes a whole image: its files, its objects and, if it was made for the image, its directory. Follows no link
 * below the directory, and removes only names that an image has. Other files stay, and so does the directory then.
 * Readers and writers are kept out meanwhile.
 * @param identity of the directory: `DEVICE:INODE`
 * @returns false, with nothing removed, when another directory is at the path
 * @throws CkptfsError `locked`, with nothing removed, while the image is read or written; `io`
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
  for (const name of [...FILES, ...DRAFTS]) removeFile(image, name);
  withDirectory(() => image.openDirectory('objects', { sameMount: true }), removeObjects);
  removeIfEmpty(image, 'objects');
  // After the objects, so that the old image key can still vouch for a removal that is interrupted (format.md §10).
  removeFile(image, HEADER);
  // Last, so that a removal that is interrupted can still be recognized (format.md §10).
  removeFile(image, 'replaces');
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

/** Removes the directory of the image by its name in the parent directory, if the name still leads to it. */
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

/**
 * Opens a directory and passes it to `work`. Returns undefined if it does not exist, or its name leads to something
 * that is not followed.
 */
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
