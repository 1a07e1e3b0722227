import {
  closeSync,
  constants as fsConstants,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import { CkptfsError, ioError, systemErrorName } from '../base/errors.ts';
import { MAX_KEY_FILE_SIZE } from './key-file.ts';
import { createKeyFile, syncDirectory } from './keygen.ts';

const { O_NOCTTY, O_NOFOLLOW, O_NONBLOCK, O_WRONLY } = fsConstants;

/**
 * Returns the path of the key file of an image that was encrypted without a key option. There is one file for each
 * image, in the user's configuration folder (XDG base directory specification: a relative XDG_CONFIG_HOME counts as
 * unset).
 * @param imageId 16 bytes
 */
export function defaultKeyPath(imageId: Uint8Array, environment: NodeJS.ProcessEnv = process.env): string {
  const configured = environment['XDG_CONFIG_HOME'];
  const base = configured !== undefined && isAbsolute(configured) ? configured : join(homedir(), '.config');
  return join(base, 'ckptfs', 'keys', `${Buffer.from(imageId).toString('hex')}.key`);
}

/**
 * Makes the default key file of an image, and its directory, makes both durable, and returns the path.
 * @throws CkptfsError `exists`, `io`
 */
export function createDefaultKey(imageId: Uint8Array, environment: NodeJS.ProcessEnv = process.env): string {
  const path = defaultKeyPath(imageId, environment);
  try {
    makeDirectory(dirname(path));
  } catch (error) {
    throw ioError('make', dirname(path), error);
  }
  createKeyFile(path);
  return path;
}

/**
 * Overwrites and removes the default key file of an image, and makes that durable. Returns its path, or undefined where
 * there is none.
 * @throws CkptfsError `io`
 */
export function destroyDefaultKey(
  imageId: Uint8Array,
  environment: NodeJS.ProcessEnv = process.env,
): string | undefined {
  const path = defaultKeyPath(imageId, environment);
  try {
    const fd = openSync(path, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    try {
      const status = fstatSync(fd);
      if (!status.isFile() || status.nlink !== 1 || status.size > MAX_KEY_FILE_SIZE) throw notAlone(path);
      writeSync(fd, Buffer.alloc(status.size), 0);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    unlinkSync(path);
    syncDirectory(dirname(path));
    return path;
  } catch (error) {
    const name = systemErrorName(error) ?? '';
    if (name === 'ENOENT' || name === 'ENOTDIR') return undefined;
    if (name === 'ELOOP' || name === 'ENXIO') throw notAlone(path, error);
    throw ioError('destroy', path, error);
  }
}

/** For what is in the place of a key: writing to it would change what others have, or never end. */
function notAlone(path: string, cause?: unknown): CkptfsError {
  return new CkptfsError('io', `cannot destroy ${path}: it is not a key file with one name`, { path, cause });
}

/** Makes a directory and those above it that are missing, and makes their names durable. */
function makeDirectory(path: string): void {
  const first = mkdirSync(path, { recursive: true, mode: 0o700 });
  if (first === undefined) return;
  let made = path;
  for (; made !== first && made !== dirname(made); made = dirname(made)) syncDirectory(dirname(made));
  syncDirectory(dirname(made));
}
