import { CkptfsError, ioErrorName } from '../base/errors.ts';
import { Errno } from '../fuse/filesystem.ts';
import { FileError } from '../image/writable/file-error.ts';

/** How a program is told that an operation on a writable image failed. */
export interface Failure {
  readonly errno: Errno;
  /** What the log should say besides; undefined where the errno says it all. */
  readonly fault: string | undefined;
}

/** What an operation on a writable image threw, as a program is told it; undefined for what should never be thrown. */
export function failureOf(error: unknown): Failure | undefined {
  if (error instanceof FileError) return { errno: Errno.of(error.code), fault: undefined };
  if (error instanceof Errno) return { errno: error, fault: undefined };
  if (!(error instanceof CkptfsError) || error.code === 'internal') return undefined;
  const name = ioErrorName(error);
  if (name === 'ENOSPC' || name === 'EDQUOT') return { errno: Errno.of(name), fault: undefined };
  return { errno: Errno.of('EIO'), fault: error.message };
}
