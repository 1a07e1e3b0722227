import fs from 'node:fs';
import { CkptfsError, ioError, systemErrorName } from '../base/errors.ts';

const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = fs.constants;

interface OpenFile {
  readonly fd: number;
  /** Bytes. */
  readonly size: number;
  /** How many names it has. */
  readonly links: number;
}

/**
 * Opens what must be a regular file in a directory that others can write to: a symbolic link is not followed, and a FIFO or
 * device put in its place neither blocks nor acts.
 * @param flags of open(2): how, and whether to make it, with mode 0600
 * @returns undefined when nothing of that name exists
 * @throws CkptfsError `damaged` for anything but a regular file, `io`
 */
export function openRegularFile(path: string, flags: number = O_RDONLY): OpenFile | undefined {
  let fd: number;
  try {
    fd = fs.openSync(path, flags | O_NOFOLLOW | O_NONBLOCK, 0o600);
  } catch (cause) {
    const name = systemErrorName(cause);
    if (name === 'ENOENT' || name === 'ENOTDIR') return undefined;
    if (name === 'ELOOP' || name === 'ENXIO' || name === 'EISDIR')
      throw new CkptfsError('damaged', `${path} is not a regular file`, { path, cause });
    throw ioError('open', path, cause);
  }
  const stat = fs.fstatSync(fd);
  if (!stat.isFile()) {
    fs.closeSync(fd);
    throw new CkptfsError('damaged', `${path} is not a regular file`, { path });
  }
  return { fd, size: stat.size, links: stat.nlink };
}

/**
 * Opens a regular file to be written. One with a second name is refused: what is written under this name would change what stands
 * under the other, such as a copy made of hard links.
 * @param flags O_RDWR, and whether to make it
 * @returns a descriptor, or undefined when nothing of that name exists
 * @throws CkptfsError `damaged` for anything but a regular file, `io`
 */
export function openToWrite(path: string, flags: number): number | undefined {
  const file = openRegularFile(path, flags);
  if (file === undefined || file.links <= 1) return file?.fd;
  fs.closeSync(file.fd);
  throw new CkptfsError('io', `cannot write ${path}: it has ${file.links} names (hard links)`, {
    path,
    advice: 'Copy the image with its contents, and use the copy.',
  });
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
