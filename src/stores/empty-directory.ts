import fs from 'node:fs';
import { CkptfsError, ioError, systemErrorName } from '../base/errors.ts';

/**
 * Makes a directory with mode 0700, or accepts an empty one to which only this user can write.
 * @throws CkptfsError `exists`, `io`
 */
export function makeEmptyDirectory(path: string): void {
  try {
    fs.mkdirSync(path, 0o700);
  } catch (cause) {
    if (systemErrorName(cause) !== 'EEXIST') throw ioError('create', path, cause);
    check(path, fs.lstatSync(path), path);
  }
}

/**
 * Makes or accepts a directory as {@link makeEmptyDirectory} does, opens it and gives it mode 0700: what is made in it by way of the
 * descriptor gets into no other directory, also when somebody renames those above it, and nobody else can get at it.
 * @returns a descriptor, which the caller closes
 * @throws CkptfsError `exists`, `io`
 */
export function openEmptyDirectory(path: string): number {
  makeEmptyDirectory(path);
  const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = fs.constants;
  let fd: number | undefined;
  try {
    fd = fs.openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    check(path, fs.fstatSync(fd), `/proc/self/fd/${fd}`);
    fs.fchmodSync(fd, 0o700);
    return fd;
  } catch (cause) {
    if (fd !== undefined) fs.closeSync(fd);
    throw ioError('open', path, cause);
  }
}

/** Who owns or can write to a directory could put links in the place of what is made there. */
function check(path: string, found: fs.Stats, at: string): void {
  if (!found.isDirectory()) throw exists(path, 'exists and is no directory');
  if (found.uid !== process.geteuid?.() || (found.mode & 0o022) !== 0) {
    throw exists(path, 'is not a directory that this user alone can write to');
  }
  let names: string[];
  try {
    names = fs.readdirSync(at);
  } catch (cause) {
    throw ioError('list', path, cause);
  }
  if (names.length > 0) throw exists(path, 'exists and is not empty');
}

function exists(path: string, reason: string): CkptfsError {
  const advice = 'Name a directory that does not exist, or an empty one.';
  return new CkptfsError('exists', `${path} ${reason}`, { path, advice });
}
