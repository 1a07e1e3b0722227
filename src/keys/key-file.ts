import { closeSync, fstatSync, openSync, readSync, type Stats } from 'node:fs';
import { CkptfsError, ioError, systemErrorName } from '../base/errors.ts';
import { WRITABLE_BY_OTHERS } from '../base/owned-file.ts';
import { wipe } from '../base/wipe.ts';
import { offHeap } from '../crypto/off-heap.ts';
import type { Secret } from '../crypto/secret.ts';
import { parseKeyText } from './key-text.ts';

export const MAX_KEY_FILE_SIZE = 4096;
const STANDARD_INPUT = 0;
const READABLE_BY_OTHERS = 0o044;

export interface KeyFile {
  readonly key: Secret;
  /** A problem with the file that the user should know of, if there is one. */
  readonly warning: KeyFileWarning | undefined;
}

export interface KeyFileWarning {
  /** The file belongs to another user, or its mode lets other users in. */
  readonly reason: 'other-owner' | 'mode';
  readonly message: string;
  readonly path: string;
}

/**
 * Reads a key file: 16, 24 or 32 bytes in hexadecimal. The file may be a pipe (`/dev/fd/3`).
 * @throws CkptfsError `bad-key-file` when it holds anything else or cannot be read
 */
export function readKeyFile(path: string): KeyFile {
  const { value, warning } = readSecretFile('key file', path, (text) => parseKeyText(text, `key file ${path}`, path));
  return { key: value, warning };
}

/** What a small file holds, and a problem with the file, if there is one. */
export interface SecretFile<T> {
  readonly value: T;
  readonly warning: KeyFileWarning | undefined;
}

/**
 * Reads a small file that holds a secret, into memory off the heap that is wiped afterwards.
 * @param what names the kind of file in messages
 * @param maxSize in bytes
 * @throws CkptfsError `bad-key-file` when it cannot be read or is too large; what `parse` throws
 */
export function readSecretFile<T>(
  what: string,
  path: string,
  parse: (text: Buffer) => T,
  maxSize: number = MAX_KEY_FILE_SIZE,
): SecretFile<T> {
  return readText(what, path, () => openSync(path, 'r'), parse, maxSize);
}

/** @param open returns a descriptor, which is closed afterwards unless it is standard input */
function readText<T>(
  what: string,
  path: string,
  open: () => number,
  parse: (text: Buffer) => T,
  maxSize: number,
): SecretFile<T> {
  const text = offHeap(maxSize + 1);
  try {
    const { length, status } = readBounded(what, path, open, text);
    if (length > maxSize) {
      throw new CkptfsError('bad-key-file', `${what} ${path} is larger than ${maxSize} bytes`, {
        path,
        data: { reason: 'too-large' },
      });
    }
    return { value: parse(text.subarray(0, length)), warning: warningAbout(`${what} ${path}`, path, status) };
  } finally {
    wipe(text);
  }
}

/** Like {@link readKeyFile}, but reads standard input to its end. @throws CkptfsError `bad-key-file` */
export function readKeyFromInput(): KeyFile {
  const path = 'on standard input';
  const parse = (text: Uint8Array) => parseKeyText(text, `key file ${path}`, path);
  const { value, warning } = readText('key file', path, () => STANDARD_INPUT, parse, MAX_KEY_FILE_SIZE);
  return { key: value, warning };
}

function readBounded(what: string, path: string, open: () => number, into: Buffer): { length: number; status: Stats } {
  let descriptor: number | undefined;
  try {
    descriptor = open();
    const status = fstatSync(descriptor);
    let length = 0;
    while (length < into.length) {
      const read = readSync(descriptor, into, length, into.length - length, null);
      if (read === 0) break;
      length += read;
    }
    return { length, status };
  } catch (error) {
    const { message } = ioError(`read ${what}`, path, error);
    const reason = systemErrorName(error) === 'ENOENT' ? 'missing' : 'unreadable';
    throw new CkptfsError('bad-key-file', message, { path, data: { reason }, cause: error });
  } finally {
    if (descriptor !== undefined && descriptor !== STANDARD_INPUT) closeSync(descriptor);
  }
}

function warningAbout(name: string, path: string, status: Stats): KeyFileWarning | undefined {
  if (!status.isFile()) return undefined;
  if (status.uid !== 0 && status.uid !== process.geteuid?.()) {
    return { reason: 'other-owner', message: `${name} belongs to another user`, path };
  }
  const how = [
    ...((status.mode & READABLE_BY_OTHERS) !== 0 ? ['read'] : []),
    ...((status.mode & WRITABLE_BY_OTHERS) !== 0 ? ['changed'] : []),
  ];
  if (how.length === 0) return undefined;
  return { reason: 'mode', message: `${name} can be ${how.join(' and ')} by other users`, path };
}
