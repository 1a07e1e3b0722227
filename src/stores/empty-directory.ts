import fs from 'node:fs';
import { CkptfsError, ioError, systemErrorName } from '../base/errors.ts';

/**
 * Makes a directory with mode 0700, or accepts an empty one of this user's to which nobody else can write.
 * @throws CkptfsError `exists`, `io`
 */
export function makeEmptyDirectory(path: string): void {
  if (make(path)) return;
  const found = fs.lstatSync(path);
  checkOwn(path, found);
  if ((found.mode & 0o022) !== 0) {
    throw exists(
      path,
      'is a directory that others can write to',
      `chmod go-w ${path}, or name one that does not exist.`,
    );
  }
  checkEmpty(path, path);
}

/**
 * Makes a directory, or accepts an empty one of this user's, opens it and gives it mode 0700: what is made in it by way of the
 * descriptor gets into no other directory, also when somebody renames those above it, and nobody else can get at it.
 * @returns a descriptor, which the caller closes
 * @throws CkptfsError `exists`, `io`
 */
export function openEmptyDirectory(path: string): number {
  make(path);
  const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = fs.constants;
  let fd: number | undefined;
  try {
    checkOwn(path, fs.lstatSync(path));
    fd = fs.openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    checkOwn(path, fs.fstatSync(fd));
    // Before the look inside: from here on nobody else can put anything there.
    const { mode } = fs.fstatSync(fd);
    fs.fchmodSync(fd, 0o700);
    try {
      checkEmpty(path, `/proc/self/fd/${fd}`);
    } catch (error) {
      fs.fchmodSync(fd, mode & 0o7777);
      throw error;
    }
    return fd;
  } catch (cause) {
    if (fd !== undefined) fs.closeSync(fd);
    throw ioError('open', path, cause);
  }
}

/** Whether a path leads to nothing at all, or to a directory without entries. @throws CkptfsError `io` */
export function isEmptyOrMissing(path: string): boolean {
  try {
    return fs.readdirSync(path).length === 0;
  } catch (cause) {
    const name = systemErrorName(cause);
    if (name === 'ENOENT') return true;
    if (name === 'ENOTDIR') return false;
    throw ioError('list', path, cause);
  }
}

/** False when something of that name exists. */
function make(path: string): boolean {
  try {
    fs.mkdirSync(path, 0o700);
    return true;
  } catch (cause) {
    if (systemErrorName(cause) !== 'EEXIST') throw ioError('create', path, cause);
    return false;
  }
}

/** Whoever owns a directory could put links in the place of what is made there. */
function checkOwn(path: string, found: fs.Stats): void {
  if (!found.isDirectory()) throw exists(path, 'exists and is no directory');
  if (found.uid !== process.geteuid?.()) throw exists(path, 'is a directory of another user');
}

/** @param at where to look for it */
function checkEmpty(path: string, at: string): void {
  let names: string[];
  try {
    names = fs.readdirSync(at);
  } catch (cause) {
    throw ioError('list', path, cause);
  }
  if (names.length > 0) throw exists(path, 'exists and is not empty');
}

function exists(path: string, reason: string, advice = ADVICE): CkptfsError {
  return new CkptfsError('exists', `${path} ${reason}`, { path, advice });
}

const ADVICE = 'Name a directory that does not exist, or an empty one of your own.';
