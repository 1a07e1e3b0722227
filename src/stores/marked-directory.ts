import { writeFileSync } from 'node:fs';
import { ioError } from '../base/errors.ts';
import { closeDescriptor } from '../base/linux/descriptors.ts';
import { makeEmptyDirectory } from './empty-directory.ts';
import { ImageDirectory } from './image-directory.ts';
import { createFile, syncDirectory } from './local-files.ts';

/**
 * Makes the directory of a new image, in the place of nothing or of an empty directory, and in it first of all a file
 * that says what the image is made for. All of it is durable when this returns.
 * @param mark the name of that file
 * @throws CkptfsError `exists`, `io`
 */
export function makeMarkedDirectory(path: string, mark: string, text: string): ImageDirectory {
  const directory = new ImageDirectory(makeEmptyDirectory(path));
  try {
    const fd = createFile(directory.root, mark);
    try {
      writeFileSync(fd, text, { flush: true });
    } finally {
      closeDescriptor(fd);
    }
    directory.objects(true);
    syncDirectory(directory.root);
    directory.root.syncParent();
    return directory;
  } catch (cause) {
    directory.close();
    throw ioError('write', `${path}/${mark}`, cause);
  }
}
