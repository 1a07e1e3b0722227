import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { CkptfsError, ioError, systemErrorName } from '../../base/errors.ts';

const MAX_BYTES = 1_048_576;
const ABSENT = ['ENOENT', 'ENOTDIR'];

/**
 * Reads a file of this user's settings or credentials. A FIFO or device in its place does not block.
 * @returns undefined where there is none
 * @throws CkptfsError `bad-key-file`
 */
export function readSmallFile(path: string): string | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch (cause) {
    if (ABSENT.includes(systemErrorName(cause) ?? '')) return undefined;
    throw unreadable(path, ioError('read', path, cause).message, cause);
  }
  try {
    if (!fstatSync(descriptor).isFile()) throw unreadable(path, `${path} is not a regular file`);
    const bytes = Buffer.alloc(MAX_BYTES + 1);
    let length = 0;
    for (let read = -1; read !== 0 && length < bytes.length; length += read)
      read = readSync(descriptor, bytes, length, bytes.length - length, null);
    if (length > MAX_BYTES) throw unreadable(path, `${path} has more than ${MAX_BYTES} bytes`);
    return bytes.toString('utf8', 0, length);
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
