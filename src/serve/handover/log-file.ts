import { closeSync, constants as fsConstants, fstatSync, mkdirSync, openSync } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { absolutePath } from '../../base/current-directory.ts';
import { CkptfsError, ioError } from '../../base/errors.ts';
import { ownStateDirectory } from '../mounts/state-directory.ts';

/**
 * In the command: chooses the log of an image's daemons, and makes sure that it can be written. It is the file that was
 * named, or one named by the image id, in the log directory or, if that is not writable, beside the control sockets.
 * Returns its path.
 * @throws CkptfsError `io`
 */
export function findLog(imageId: string, path: string | undefined): string {
  if (path !== undefined) return tried(absolutePath(path));
  try {
    const directory = logDirectory();
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    return tried(join(directory, `${imageId}.log`));
  } catch {
    return tried(join(ownStateDirectory(), `${imageId}.log`));
  }
}

/** Returns /var/log/ckptfs for root; for others a directory below XDG_STATE_HOME (XDG base directory specification). */
function logDirectory(): string {
  if (process.geteuid?.() === 0) return '/var/log/ckptfs';
  const configured = process.env['XDG_STATE_HOME'];
  const base = configured !== undefined && isAbsolute(configured) ? configured : join(homedir(), '.local', 'state');
  return join(base, 'ckptfs');
}

function tried(path: string): string {
  closeSync(openLog(path));
  return path;
}

/**
 * Opens a log to append and to read; creates it with mode 0600.
 * @throws CkptfsError `io`, also for a file that another user could read from or lead elsewhere
 */
export function openLog(path: string): number {
  const { O_APPEND, O_CREAT, O_NOCTTY, O_NOFOLLOW, O_NONBLOCK, O_RDWR } = fsConstants;
  try {
    const fd = openSync(path, O_APPEND | O_CREAT | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK | O_RDWR, 0o600);
    const found = fstatSync(fd);
    if ((found.isFile() && found.uid === process.geteuid?.()) || found.isCharacterDevice()) return fd;
    closeSync(fd);
  } catch (cause) {
    throw ioError('open the log', path, cause);
  }
  throw new CkptfsError('io', `cannot log to ${path}: it is not a regular file of this user`, { path });
}
