import { systemErrorName } from '../base/errors.ts';
import { Directory } from '../base/linux/directory.ts';

/** What `criu dump --encrypt` leaves in each directory that it encrypts. */
const CRIU_MARK = 'cipher.img';
const OWN_MARKS = ['ckptfs.json', 'manifest', 'journal'] as const;
/** A directory with more entries is no common directory of layers, and is not searched for one. */
const MAX_ENTRIES = 4096;

/**
 * Returns whether a path leads to a directory that CRIU encrypted, or that has such directories in it, as for dumps
 * that follow each other. False where it cannot be looked at.
 */
export function isCriuDirectory(path: string): boolean {
  try {
    const directory = Directory.open(path);
    try {
      if (OWN_MARKS.some((name) => directory.lstat(name) !== undefined)) return false;
      return hasMark(directory) || layersIn(directory).some((name) => isMarked(directory, name));
    } finally {
      directory.close();
    }
  } catch (error) {
    if (systemErrorName(error) !== undefined) return false;
    throw error;
  }
}

function layersIn(directory: Directory): readonly Buffer[] {
  const names = directory.names();
  return names.length > MAX_ENTRIES ? [] : names.filter((name) => directory.lstat(name)?.isDirectory() === true);
}

function isMarked(parent: Directory, name: Buffer): boolean {
  const directory = parent.openDirectory(name, { sameMount: true });
  try {
    return hasMark(directory);
  } finally {
    directory.close();
  }
}

function hasMark(directory: Directory): boolean {
  return directory.lstat(CRIU_MARK)?.isFile() === true;
}
