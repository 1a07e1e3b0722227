import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { CkptfsError, ioError, systemErrorName } from '../../base/errors.ts';
import { WRITABLE_BY_OTHERS } from '../../base/owned-file.ts';

const MAX_BYTES = 1_048_576;
const ABSENT = ['ENOENT', 'ENOTDIR'];

export interface SmallFile {
  readonly text: string;
  /** Whether no other user than this one and root can change it. */
  readonly isOwn: boolean;
}

/** Like {@link openSmallFile}, but returns its text alone. */
export function readSmallFile(path: string): string | undefined {
  return openSmallFile(path)?.text;
}

/**
 * Reads a file of this user's settings or credentials. A FIFO or device in its place does not block.
 * @returns undefined where there is none
 * @throws CkptfsError `bad-key-file`
 */
export function openSmallFile(path: string): SmallFile | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch (cause) {
    if (ABSENT.includes(systemErrorName(cause) ?? '')) return undefined;
    throw unreadable(path, ioError('read', path, cause).message, cause);
  }
  try {
    const status = fstatSync(descriptor);
    if (!status.isFile()) throw unreadable(path, `${path} is not a regular file`);
    const isOwn = [0, process.geteuid?.()].includes(status.uid) && (status.mode & WRITABLE_BY_OTHERS) === 0;
    const bytes = Buffer.alloc(MAX_BYTES + 1);
    let length = 0;
    for (let read = -1; read !== 0 && length < bytes.length; length += read)
      read = readSync(descriptor, bytes, length, bytes.length - length, null);
    if (length > MAX_BYTES) throw unreadable(path, `${path} has more than ${MAX_BYTES} bytes`);
    return { text: bytes.toString('utf8', 0, length), isOwn };
  } catch (cause) {
    if (cause instanceof CkptfsError) throw cause;
    throw unreadable(path, ioError('read', path, cause).message, cause);
  } finally {
    closeSync(descriptor);
  }
}

function unreadable(path: string, message: string, cause?: unknown): CkptfsError {
  return new CkptfsError('bad-key-file', message, { path, data: { reason: 'unreadable' }, cause });
}
