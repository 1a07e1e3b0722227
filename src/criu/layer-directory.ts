import { fstatSync } from 'node:fs';
import { CkptfsError, ioError } from '../base/errors.ts';
import { closeDescriptor } from '../base/linux/descriptors.ts';
import type { Directory } from '../base/linux/directory.ts';
import { Region } from '../base/linux/native.ts';
import { printableName } from '../base/printable.ts';
import { openRegularFile } from '../stores/local-files.ts';
import { LocalObject } from '../stores/local-object.ts';
import { CIPHER_IMAGE, type CipherImage, MAX_CIPHER_IMAGE_SIZE, parseCipherImage } from './cipher-image.ts';

/** A regular file of the directory, as it is stored. */
export interface StoredEntry {
  readonly name: Buffer;
  /** Bytes. */
  readonly size: number;
  /** Its inode number: tells whether another file has taken its place. */
  readonly inode: bigint;
}

/**
 * Lists the regular files of a directory but cipher.img, in byte order of their names. Directories and links in it are
 * none of its images.
 * @throws CkptfsError `io`
 */
export function listFiles(directory: Directory): StoredEntry[] {
  try {
    const names = directory.names().sort(Buffer.compare);
    return names.flatMap((name) => {
      const stat = name.equals(Buffer.from(CIPHER_IMAGE)) ? undefined : directory.lstat(name);
      return stat?.isFile() === true ? [{ name, size: Number(stat.size), inode: stat.ino }] : [];
    });
  } catch (cause) {
    throw ioError('list', directory.path(), cause);
  }
}

/** Returns the path of a file of the directory, for messages. */
export function pathIn(directory: Directory, name: Uint8Array): string {
  return `${directory.path()}/${printableName(name)}`;
}

/**
 * Opens a file that was listed. The caller closes it.
 * @throws CkptfsError `damaged` when it is gone, another, or of another size since; `io`
 */
export function openListed(directory: Directory, { name, size, inode }: StoredEntry): LocalObject {
  const where = (): string => pathIn(directory, name);
  const file = openRegularFile(directory, name, where);
  if (file !== undefined) {
    if (file.size === size && fstatSync(file.fd, { bigint: true }).ino === inode)
      return new LocalObject(where, file.fd, size);
    closeDescriptor(file.fd);
  }
  throw new CkptfsError('damaged', `${where()} was changed since it was opened first`, { path: where() });
}

/** Reads a whole file that was listed. @throws CkptfsError `damaged`, `io` */
export function readListed(directory: Directory, entry: StoredEntry): Region {
  const file = openListed(directory, entry);
  try {
    const image = new Region(entry.size);
    if (file.read(image, 0, entry.size, 0) === entry.size) return image;
    const path = pathIn(directory, entry.name);
    throw new CkptfsError('damaged', `${path} became shorter while it was read`, { path });
  } finally {
    file.close();
  }
}

/** Reads cipher.img. @throws CkptfsError `damaged`, also when it is missing; `io` */
export function readCipherImage(directory: Directory): CipherImage {
  const where = (): string => pathIn(directory, Buffer.from(CIPHER_IMAGE));
  const file = openRegularFile(directory, CIPHER_IMAGE, where);
  const path = where();
  if (file === undefined) throw new CkptfsError('damaged', `${path} is missing`, { path });
  const stored = new LocalObject(where, file.fd, file.size);
  try {
    if (file.size > MAX_CIPHER_IMAGE_SIZE)
      throw new CkptfsError(
        'damaged',
        `${path} has ${file.size} bytes; at most ${MAX_CIPHER_IMAGE_SIZE} are possible`,
        {
          path,
        },
      );
    const image = new Region(file.size);
    return parseCipherImage(image.bytes.subarray(0, stored.read(image, 0, file.size, 0)), path);
  } finally {
    stored.close();
  }
}
