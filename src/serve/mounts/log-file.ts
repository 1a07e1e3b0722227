import fs from 'node:fs';
import { join } from 'node:path';
import { absolutePath } from '../../base/current-directory.ts';
import { CkptfsError, ioError } from '../../base/errors.ts';
import { logDirectory, ownStateDirectory } from './state-directory.ts';

/**
 * The log of an image's daemons, which can be written: the file named, or one named by image id in the log directory, or, where that cannot be
 * written to, beside the control sockets. Returns its path.
 * @throws CkptfsError `io`
 */
export function findLog(imageId: string, path: string | undefined): string {
  if (path !== undefined) return tried(absolutePath(path));
  try {
    const directory = logDirectory();
    fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
    return tried(join(directory, `${imageId}.log`));
  } catch {
    return tried(join(ownStateDirectory(), `${imageId}.log`));
  }
}

function tried(path: string): string {
  fs.closeSync(openLog(path));
  return path;
}

/** Opens a log to append to and to read; makes it with mode 0600. @throws CkptfsError `io`, also for what others could read from or lead astray */
export function openLog(path: string): number {
  const { O_APPEND, O_CREAT, O_NOCTTY, O_NOFOLLOW, O_NONBLOCK, O_RDWR } = fs.constants;
  try {
    const fd = fs.openSync(path, O_APPEND | O_CREAT | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK | O_RDWR, 0o600);
    const found = fs.fstatSync(fd);
    if ((found.isFile() && found.uid === process.geteuid?.()) || found.isCharacterDevice()) return fd;
    fs.closeSync(fd);
  } catch (cause) {
    throw ioError('open the log', path, cause);
  }
  throw new CkptfsError('io', `cannot log to ${path}: it is no file of this user`, { path });
}
