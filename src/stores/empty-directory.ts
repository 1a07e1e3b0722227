import { accessSync, closeSync, constants, fchmodSync, fstatSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { absolutePath } from '../base/current-directory.ts';
import type { ErrorData } from '../base/error-data.ts';
import { CkptfsError, ioError, ioErrorName, systemErrorName } from '../base/errors.ts';
import { Directory } from '../base/linux/directory.ts';
import { withoutThoseOfFileSystems } from './file-system-names.ts';

const MAX_NAMED = 3;

/**
 * Makes a directory with mode 0700, or accepts an empty one that this user owns and no other user can write to, and
 * opens it. What a file system puts into its own root, such as lost+found, does not count.
 * @throws CkptfsError `exists`, `io`
 */
export function makeEmptyDirectory(path: string): Directory {
  const isMade = make(path);
  const directory = openOwn(path);
  try {
    if (!isMade) checkPrivate(path, directory);
    checkEmpty(path, directory);
    return directory;
  } catch (error) {
    directory.close();
    throw error;
  }
}

/**
 * Refuses what {@link makeEmptyDirectory} would refuse, and makes nothing. @throws CkptfsError `exists`, `io`
 * @param isPrivate false: a directory that others can write to is accepted, as {@link openEmptyDirectory} does
 */
export function checkVacant(path: string, isPrivate = true): void {
  let directory: Directory;
  try {
    directory = openOwn(path);
  } catch (error) {
    if (ioErrorName(error) !== 'ENOENT') throw error;
    checkParent(path);
    return;
  }
  try {
    if (isPrivate) checkPrivate(path, directory);
    checkEmpty(path, directory);
  } finally {
    directory.close();
  }
}

/**
 * Makes a directory, or accepts an empty one that this user owns, opens it and gives it mode 0700. What is made through
 * the descriptor gets into no other directory, even if one above it is renamed, and no other user can reach it.
 * @returns a descriptor, which the caller closes
 * @throws CkptfsError `exists`, `io`
 */
export function openEmptyDirectory(path: string): number {
  make(path);
  const directory = openOwn(path);
  let fd: number | undefined;
  try {
    fd = directory.openReadable();
    // This comes before the check, because from here on no other user can put anything into it.
    const { mode } = fstatSync(fd);
    fchmodSync(fd, 0o700);
    try {
      checkEmpty(path, directory);
    } catch (error) {
      fchmodSync(fd, mode & 0o7777);
      throw error;
    }
    return fd;
  } catch (cause) {
    if (fd !== undefined) closeSync(fd);
    throw ioError('open', path, cause);
  } finally {
    directory.close();
  }
}

/**
 * Returns whether a path leads to nothing, or to a directory in which an image can be made. @throws CkptfsError `io`
 */
export function isVacant(path: string): boolean {
  let directory: Directory;
  try {
    directory = Directory.open(path);
  } catch (cause) {
    const name = systemErrorName(cause);
    if (name === 'ENOENT') return true;
    if (name === 'ENOTDIR') return false;
    throw ioError('open', path, cause);
  }
  try {
    return namesIn(path, directory).length === 0;
  } finally {
    directory.close();
  }
}

/** Lists the names that are in the way of something new, at most the first few. */
export function describeNames(names: readonly string[]): string {
  const named = names.slice(0, MAX_NAMED).join(', ');
  return names.length > MAX_NAMED ? `${named} and ${names.length - MAX_NAMED} more` : named;
}

/** Makes a directory with mode 0700. Returns false if the name exists. */
function make(path: string): boolean {
  try {
    mkdirSync(path, 0o700);
    return true;
  } catch (cause) {
    if (systemErrorName(cause) !== 'EEXIST') throw ioError('create', path, cause);
    return false;
  }
}

/**
 * Opens a directory, which must belong to this user: another owner could replace by links what is made in it.
 */
function openOwn(path: string): Directory {
  let directory: Directory;
  try {
    directory = Directory.open(path, { follow: false });
  } catch (cause) {
    const name = systemErrorName(cause);
    if (name === 'ENOTDIR' || name === 'ELOOP') throw exists(path, 'exists and is not a directory', 'not-a-directory');
    throw ioError('open', path, cause);
  }
  if (Number(directory.stat().uid) === process.geteuid?.()) return directory;
  directory.close();
  throw exists(path, 'is a directory of another user', 'not-own');
}

function checkParent(path: string): void {
  try {
    accessSync(dirname(absolutePath(path)), constants.W_OK | constants.X_OK);
  } catch (cause) {
    throw ioError('create', path, cause);
  }
}

function checkPrivate(path: string, directory: Directory): void {
  if ((Number(directory.stat().mode) & 0o022) === 0) return;
  throw exists(path, 'is a directory that others can write to', 'writable-by-others');
}

function checkEmpty(path: string, directory: Directory): void {
  const names = namesIn(path, directory);
  if (names.length === 0) return;
  const has = isUnfinished(names) ? 'an unfinished image, which can be removed' : describeNames(names);
  throw exists(path, `exists and is not empty: it has ${has}`, 'not-empty');
}

/** Whether the making of an image was interrupted (format.md §2). */
function isUnfinished(names: readonly string[]): boolean {
  return names.includes('ckptfs.json') && !names.includes('manifest') && !names.includes('journal');
}

/** Lists a directory without what a file system has put into its own root. */
function namesIn(path: string, directory: Directory): string[] {
  try {
    return withoutThoseOfFileSystems(directory, directory.names().map(String).sort());
  } catch (cause) {
    throw ioError('list', path, cause);
  }
}

function exists(path: string, text: string, reason: ErrorData<'exists'>['reason']): CkptfsError {
  return new CkptfsError('exists', `${path} ${text}`, { path, data: { reason } });
}
