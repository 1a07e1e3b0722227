import { CkptfsError, ioError } from '../../base/errors.ts';
import { closeDescriptor } from '../../base/linux/descriptors.ts';
import type { Directory } from '../../base/linux/directory.ts';
import { readAt } from '../../base/linux/files.ts';
import { Region } from '../../base/linux/native.ts';
import { openRegularFile } from '../../stores/local-files.ts';

/** Reads a small regular file. @throws CkptfsError `damaged` when it is missing, not regular or longer; `io` */
export function readBounded(directory: Directory, name: string, limit: number): Buffer {
  const path = (): string => `${directory.path()}/${name}`;
  const file = openRegularFile(directory, name, path);
  if (file === undefined) throw new CkptfsError('damaged', `${path()} is missing`, { path: path() });
  try {
    if (file.size > limit) throw new CkptfsError('damaged', `${path()} has ${file.size} bytes`, { path: path() });
    const bytes = new Region(file.size);
    return bytes.bytes.subarray(0, readAt(file.fd, bytes, 0, file.size, 0));
  } catch (cause) {
    throw cause instanceof CkptfsError ? cause : ioError('read', path(), cause);
  } finally {
    closeDescriptor(file.fd);
  }
}
