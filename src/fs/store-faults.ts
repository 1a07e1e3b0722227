import type { ErrnoName } from '../base/errno.ts';
import { CkptfsError, ioErrorName, isFull } from '../base/errors.ts';
import { Errno } from '../fuse/filesystem.ts';
import { FileError } from '../image/writable/file-error.ts';

/** How a program is told that an operation on a writable image failed. */
export interface Failure {
  readonly errno: Errno;
  /** What the log should say besides; undefined where the errno says it all. */
  readonly fault: string | undefined;
}

/**
 * Errors of the store that a program would take for something about its own request, its own file's name for one, or that the kernel
 * takes for something about this file system, as it does ENOSYS. They become EIO.
 */
const misleading: ReadonlySet<ErrnoName> = new Set([
  'ENOENT',
  'EEXIST',
  'ENOTDIR',
  'EISDIR',
  'ENOTEMPTY',
  'ENAMETOOLONG',
  'ELOOP',
  'EXDEV',
  'ENODATA',
  'EINVAL',
  'EBADF',
  'EFAULT',
  'EINTR',
  'EAGAIN',
  'ENOSYS',
  'EOPNOTSUPP',
  'ENOTSUP',
]);

/** Returns how a program is told what an operation on a writable image threw; undefined for what should never be thrown. */
export function failureOf(error: unknown): Failure | undefined {
  if (error instanceof FileError) return { errno: Errno.of(error.code), fault: undefined };
  if (error instanceof Errno) return { errno: error, fault: undefined };
  if (!(error instanceof CkptfsError) || error.code === 'internal') return undefined;
  const name = ioErrorName(error);
  const errno = Errno.of(name === undefined || misleading.has(name) ? 'EIO' : name);
  return { errno, fault: isFull(error) ? undefined : error.message };
}
