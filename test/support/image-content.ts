import { createHash } from 'node:crypto';
import { Region } from '../../src/base/linux/native.ts';
import type { FileInode } from '../../src/format/manifest.ts';
import type { Image } from '../../src/image/read/image.ts';
import type { ImageReader } from '../../src/image/read/image-reader.ts';
import { ImageTree } from '../../src/image/read/tree.ts';
import type { ListedFile } from './frozen-images.ts';

/**
 * Every path of an image, '/' between names, one character per byte; the root is ''. In byte order of paths, a
 * directory first.
 */
export function pathsOf(tree: ImageTree): Map<string, number> {
  const paths = new Map<string, number>();
  const visit = (path: string, number: number): void => {
    paths.set(path, number);
    if (tree.inode(number)?.type !== 'directory') return;
    for (let at = 0, child = tree.child(number, 0); child !== undefined; child = tree.child(number, ++at)) {
      const name = child.name.toString('latin1');
      visit(path === '' ? name : `${path}/${name}`, child.inode);
    }
  };
  visit('', 1);
  return paths;
}

/** A whole file. @throws CkptfsError `damaged` */
export function readWhole(reader: ImageReader, file: FileInode): Buffer {
  const out = new Region(file.size);
  const count = reader.read(file, 0, file.size, out, 0);
  if (count !== file.size) throw new Error(`${count} bytes of ${file.size}: a short read`);
  return out.bytes;
}

/**
 * The message of the damage that reading a file meets, or its bytes. Anything else thrown passes through. The reader
 * may be the built one, whose error class is another.
 */
export function readOrReason(reader: ImageReader, file: FileInode): Buffer | string {
  try {
    return readWhole(reader, file);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'damaged') return error.message;
    throw error;
  }
}

/** An image's tree and contents in the form of `files.json`. @throws CkptfsError `damaged` */
export function describeImage(image: Image, reader: ImageReader): ListedFile[] {
  const tree = new ImageTree(image.manifest);
  return [...pathsOf(tree)].map(([path, number]) => {
    const inode = image.manifest.inodes[number - 1];
    if (inode === undefined) throw new Error(`no inode ${number}`);
    const common = {
      path,
      mode: inode.mode.toString(8),
      uid: inode.uid,
      gid: inode.gid,
      atime: [inode.atime.seconds, inode.atime.nanoseconds] as const,
      mtime: [inode.mtime.seconds, inode.mtime.nanoseconds] as const,
      ctime: [inode.ctime.seconds, inode.ctime.nanoseconds] as const,
      links: tree.links(number),
      xattrs: Object.fromEntries(
        inode.xattrs.map(({ name, value }) => [name.toString('latin1'), value.toString('hex')]),
      ),
    };
    if (inode.type === 'symlink') return { ...common, type: 'symlink', target: inode.target.toString('hex') };
    if (inode.type !== 'file') return { ...common, type: inode.type };
    const sha256 = createHash('sha256').update(readWhole(reader, inode)).digest('hex');
    return { ...common, type: 'file', size: inode.size, sha256 };
  });
}
