import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { MalformedError } from './bytes.ts';
import { ioError, systemErrorName } from './errors.ts';

/** Bits of a mode: another user than the owner can change it. */
export const WRITABLE_BY_OTHERS = 0o022;

/** Which file is accepted. */
export interface FileDemands {
  /** The users it may belong to. */
  readonly owners: readonly number[];
  readonly followLinks: boolean;
}

/**
 * Reads a small file that only its owner can change. Returns undefined where there is none.
 * @param maxSize in bytes
 * @throws MalformedError for any other file, or one that cannot be read
 */
export function readOwnedFile(
  path: string,
  maxSize: number,
  { owners, followLinks }: FileDemands,
): Uint8Array | undefined {
  let descriptor: number;
  try {
    const flags = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;
    descriptor = openSync(path, followLinks ? flags : flags | constants.O_NOFOLLOW);
  } catch (cause) {
    if (systemErrorName(cause) === 'ENOENT') return undefined;
    throw new MalformedError(ioError('read', path, cause).message);
  }
  try {
    const { mode, uid, ...status } = fstatSync(descriptor);
    if ((mode & constants.S_IFMT) !== constants.S_IFREG) throw new MalformedError('it is not a regular file');
    if (!owners.includes(uid)) throw new MalformedError(`it belongs to another user (${uid}), who can change it`);
    if ((mode & WRITABLE_BY_OTHERS) !== 0) throw new MalformedError('other users can change it');
    if (status.size > maxSize) throw new MalformedError(`it is larger than ${maxSize} bytes`);
    return readUpTo(descriptor, maxSize);
  } catch (cause) {
    throw cause instanceof MalformedError ? cause : new MalformedError(ioError('read', path, cause).message);
  } finally {
    closeSync(descriptor);
  }
}

function readUpTo(descriptor: number, size: number): Uint8Array {
  const bytes = Buffer.alloc(size);
  let length = 0;
  while (length < size) {
    const read = readSync(descriptor, bytes, length, size - length, null);
    if (read === 0) break;
    length += read;
  }
  return bytes.subarray(0, length);
}
