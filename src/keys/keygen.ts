import { closeSync, fsyncSync, openSync, unlinkSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { CkptfsError, ioError, systemErrorName } from '../base/errors.ts';
import { wipe } from '../base/wipe.ts';
import { newKeyText } from './key-text.ts';

export type KeyBits = 128 | 192 | 256;

/**
 * Makes a key file with a new random key, readable by its owner alone, and makes it durable. Never overwrites a file.
 * @throws CkptfsError `exists`, `io`; a file that was written in part is removed
 */
export function createKeyFile(path: string, bits: KeyBits = 256): void {
  const text = newKeyText(bits);
  let descriptor: number | undefined;
  try {
    descriptor = openSync(path, 'wx', 0o600);
    for (let written = 0; written < text.length; ) written += writeSync(descriptor, text, written);
    fsyncSync(descriptor);
    syncDirectory(dirname(path));
  } catch (error) {
    if (descriptor !== undefined) unlinkSync(path);
    if (systemErrorName(error) === 'EEXIST') {
      throw new CkptfsError('exists', `${path} already exists; a key file is never overwritten`, {
        path,
        data: { reason: 'file' },
        cause: error,
      });
    }
    throw ioError('write key file', path, error);
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
    wipe(text);
  }
}

/** Makes the names in a directory durable. */
export function syncDirectory(path: string): void {
  const descriptor = openSync(path, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
