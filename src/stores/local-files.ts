import { fdatasyncSync, constants as fsConstants, fstatSync, type Stats, writeSync } from 'node:fs';
import { CkptfsError, ioError, systemErrorName } from '../base/errors.ts';
import { closeDescriptor } from '../base/linux/descriptors.ts';
import type { Directory, EntryName } from '../base/linux/directory.ts';
import { dataRanges } from '../base/linux/files.ts';

interface OpenFile {
  readonly fd: number;
  /** Bytes. */
  readonly size: number;
  /** The number of its names. */
  readonly links: number;
}

/** Returns the path that a file has now, for messages. */
export type Where = () => string;

/**
 * Opens a file, which must be a regular one, in a directory that others can write to: a symbolic link is not followed,
 * and a FIFO or device in its place neither blocks nor acts.
 * @param flags of open(2); a file that is made gets mode 0600
 * @returns undefined when nothing of that name exists
 * @throws CkptfsError `damaged` for anything but a regular file, `io`
 */
export function openRegularFile(
  directory: Directory,
  name: EntryName,
  where: Where,
  flags: number = fsConstants.O_RDONLY,
): OpenFile | undefined {
  let fd: number;
  try {
    fd = directory.openFile(name, flags);
  } catch (cause) {
    const code = systemErrorName(cause);
    if (code === 'ENOENT') return undefined;
    if (code === 'ELOOP' || code === 'ENXIO' || code === 'EISDIR') throw notRegular(where(), cause);
    throw ioError('open', where(), cause);
  }
  const stat = statOrClose(fd, where);
  if (!stat.isFile()) {
    closeDescriptor(fd);
    throw notRegular(where());
  }
  return { fd, size: stat.size, links: stat.nlink };
}

function statOrClose(fd: number, where: Where): Stats {
  try {
    return fstatSync(fd);
  } catch (cause) {
    closeDescriptor(fd);
    throw ioError('look at', where(), cause);
  }
}

/**
 * Opens a regular file for writing. Refuses one with a second name, because writing would also change what is under
 * that name, such as a copy made of hard links.
 * @param flags O_RDWR, perhaps with O_CREAT
 * @returns a descriptor, or undefined when nothing of that name exists
 * @throws CkptfsError `damaged` for anything but a regular file, `io`
 */
export function openToWrite(directory: Directory, name: string, where: Where, flags: number): number | undefined {
  const file = openRegularFile(directory, name, where, flags);
  if (file === undefined || file.links <= 1) return file?.fd;
  closeDescriptor(file.fd);
  const path = where();
  throw new CkptfsError('io', `cannot write ${path}: it has ${file.links} names (hard links)`, {
    path,
    data: { reason: 'hard-links' },
  });
}

/** The most that is written at a time. */
const OVERWRITE_SIZE = 1 << 20;

/**
 * Overwrites a file of any size with zeros where it is, but for its holes, makes that durable, and closes it.
 * @throws CkptfsError `io`
 */
export function overwriteFile(fd: number, where: Where): void {
  try {
    const { size } = fstatSync(fd);
    const zeros = Buffer.alloc(Math.min(size, OVERWRITE_SIZE));
    for (const [start, end] of dataRanges(fd, size)) {
      for (let position = start; position < end; ) {
        position += writeSync(fd, zeros, 0, Math.min(zeros.length, end - position), position);
      }
    }
    fdatasyncSync(fd);
  } catch (cause) {
    throw ioError('overwrite', where(), cause);
  } finally {
    closeDescriptor(fd);
  }
}

/** Makes a new file with mode 0600 and opens it for writing. @throws Error of Node, also EEXIST */
export function createFile(directory: Directory, name: string): number {
  const { O_CREAT, O_EXCL, O_RDWR } = fsConstants;
  return directory.openFile(name, O_RDWR | O_CREAT | O_EXCL);
}

/** Removes a file if it exists. @throws Error of Node */
export function removeFile(directory: Directory, name: string): void {
  try {
    directory.unlink(name);
  } catch (error) {
    if (systemErrorName(error) !== 'ENOENT') throw error;
  }
}

/** Makes the names in a directory durable. @throws CkptfsError `io` */
export function syncDirectory(directory: Directory): void {
  try {
    directory.sync();
  } catch (cause) {
    throw ioError('make durable', directory.path(), cause);
  }
}

function notRegular(path: string, cause?: unknown): CkptfsError {
  return new CkptfsError('damaged', `${path} is not a regular file`, { path, cause });
}
