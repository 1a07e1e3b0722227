import { mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import { ioError } from '../base/errors.ts';
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

/** Makes a directory and those above it that are missing, and makes their names durable. */
function makeDirectory(path: string): void {
  const first = mkdirSync(path, { recursive: true, mode: 0o700 });
  if (first === undefined) return;
  let made = path;
  for (; made !== first && made !== dirname(made); made = dirname(made)) syncDirectory(dirname(made));
  syncDirectory(dirname(made));
}
