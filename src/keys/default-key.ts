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
import { ioError, systemErrorName } from '../base/errors.ts';
import { createKeyFile, syncDirectory } from './keygen.ts';

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
    const fd = openSync(path, fsConstants.O_WRONLY | fsConstants.O_NOFOLLOW);
    try {
      writeSync(fd, Buffer.alloc(fstatSync(fd).size), 0);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    unlinkSync(path);
    syncDirectory(dirname(path));
    return path;
  } catch (error) {
    if (systemErrorName(error) === 'ENOENT') return undefined;
    throw ioError('destroy', path, error);
  }
}

/** Makes a directory and those above it that are missing, and makes their names durable. */
function makeDirectory(path: string): void {
  const first = mkdirSync(path, { recursive: true, mode: 0o700 });
  if (first === undefined) return;
  let made = path;
  for (; made !== first && made !== dirname(made); made = dirname(made)) syncDirectory(dirname(made));
  syncDirectory(dirname(made));
}
