import fs from 'node:fs';
import { CkptfsError, ioError, systemErrorName } from '../base/errors.ts';

const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = fs.constants;

/**
 * Opens what must be a regular file in a directory that others can write to: a symbolic link is not followed, and a FIFO or
 * device put in its place neither blocks nor acts.
 * @returns undefined when nothing of that name exists
 * @throws CkptfsError `damaged` for anything but a regular file, `io`
 */
export function openRegularFile(path: string): { readonly fd: number; readonly size: number } | undefined {
  let fd: number;
  try {
    fd = fs.openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (cause) {
    const name = systemErrorName(cause);
    if (name === 'ENOENT' || name === 'ENOTDIR') return undefined;
    if (name === 'ELOOP' || name === 'ENXIO')
      throw new CkptfsError('damaged', `${path} is not a regular file`, { path, cause });
    throw ioError('open', path, cause);
  }
  const stat = fs.fstatSync(fd);
  if (!stat.isFile()) {
    fs.closeSync(fd);
    throw new CkptfsError('damaged', `${path} is not a regular file`, { path });
  }
  return { fd, size: stat.size };
}

/** Makes the names in a directory durable. @throws CkptfsError `io` */
export function syncPath(path: string): void {
  try {
    const fd = fs.openSync(path, O_RDONLY);
    try {
      fs.fsyncSync(fd);
    } finally {
      fs.closeSync(fd);
    }
  } catch (cause) {
    throw ioError('make durable', path, cause);
  }
}
