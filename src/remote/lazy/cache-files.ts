import { constants, fstatSync, writeSync } from 'node:fs';
import { CkptfsError, systemErrorName } from '../../base/errors.ts';
import { closeDescriptor } from '../../base/linux/descriptors.ts';
import type { Directory } from '../../base/linux/directory.ts';
import { readAt } from '../../base/linux/files.ts';
import { Region } from '../../base/linux/native.ts';
import { WRITABLE_BY_OTHERS } from '../../base/owned-file.ts';
import { draftName } from './cache-layout.ts';

/** Files and directories of a cache, in which there may be anything. */

export const FOR_OWNER = 0o700;

/** Opens a directory in one of the cache, and makes it where there is none. @throws CkptfsError `exists`; Error */
export function openOwn(above: Directory, name: string, path: string): Directory {
  try {
    above.mkdir(name, FOR_OWNER);
  } catch (error) {
    if (systemErrorName(error) !== 'EEXIST') throw error;
  }
  const directory = above.openDirectory(name);
  try {
    checkOwn(directory, `${path}/${name}`);
    return directory;
  } catch (error) {
    directory.close();
    throw error;
  }
}

/** @throws CkptfsError `exists` unless this user owns a directory, and other users cannot change it */
export function checkOwn(directory: Directory, path: string): void {
  const { uid, mode } = directory.stat();
  if (Number(uid) !== process.geteuid?.())
    throw new CkptfsError('exists', `${path} belongs to another user (${uid})`, { path, data: { reason: 'not-own' } });
  if ((Number(mode) & WRITABLE_BY_OTHERS) !== 0)
    throw new CkptfsError('exists', `${path} can be changed by other users`, {
      path,
      data: { reason: 'writable-by-others' },
    });
}

/**
 * Reads a regular file.
 * @param size bytes
 * @returns undefined unless it has exactly so many
 * @throws Error
 */
export function readExactFile(directory: Directory, name: string, size: number): Buffer | undefined {
  const fd = directory.openFile(name, constants.O_RDONLY);
  try {
    const status = fstatSync(fd);
    if (!status.isFile() || status.size !== size) return undefined;
    const memory = new Region(size);
    return readAt(fd, memory, 0, size, 0) === size ? memory.bytes : undefined;
  } finally {
    closeDescriptor(fd);
  }
}

/**
 * Puts a file in place in one step, whatever file was there. It is not durable.
 * @param drafts where it is written first: what a killed process left there is removed when it is old (eviction.ts)
 * @throws Error
 */
export function putFile(directory: Directory, name: string, bytes: Uint8Array, drafts: Directory = directory): void {
  const { O_WRONLY, O_CREAT, O_EXCL } = constants;
  const draft = draftName();
  const fd = drafts.openFile(draft, O_WRONLY | O_CREAT | O_EXCL);
  try {
    for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done);
    drafts.rename(draft, name, { to: directory });
  } catch (error) {
    drafts.unlink(draft);
    throw error;
  } finally {
    closeDescriptor(fd);
  }
}
