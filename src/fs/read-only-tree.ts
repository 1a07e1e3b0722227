import { Errno } from '../base/errno.ts';
import { CkptfsError } from '../base/errors.ts';
import type { Region } from '../base/linux/native.ts';
import { quotedPath } from '../base/printable.ts';
import { STOPS_XATTR_REQUESTS } from '../base/tuning.ts';
import type { FileInode, Inode } from '../format/manifest.ts';
import type { Attributes, DirectoryEntry, FileSystem, Statistics } from '../fuse/protocol/filesystem.ts';
import { dataBytes, seekExtent } from '../image/read/extents.ts';
import type { Image } from '../image/read/image.ts';
import type { ImageReader } from '../image/read/image-reader.ts';
import type { ImageTree } from '../image/read/tree.ts';
import { attributesOf, BLOCK_SIZE, DOT, DOT_DOT, NAME_MAX } from './attributes.ts';

/** Told, in one line without line breaks, of each read that failed: image file, object, chunk, reason. */
export type DamageListener = (line: string) => void;

/** A sealed image as a file system. A node's number is its inode number; nothing ever changes. Belongs to one thread. */
export class ReadOnlyTree implements FileSystem {
  readonly immutable = true;
  readonly #tree: ImageTree;
  readonly #reader: ImageReader;
  readonly #onDamage: DamageListener;
  readonly #inodes: readonly Inode[];
  /** Of `ls -l` of files without any, three requests in four ask for one. */
  readonly #hasXattrs: boolean;
  /** By node, made when first asked for. */
  readonly #attributes: (Attributes | undefined)[] = [];

  constructor(image: Image, tree: ImageTree, reader: ImageReader, onDamage: DamageListener) {
    this.#tree = tree;
    this.#reader = reader;
    this.#onDamage = onDamage;
    this.#inodes = image.manifest.inodes;
    this.#hasXattrs = this.#inodes.some(({ xattrs }) => xattrs.length > 0);
  }

  lookup(parent: number, name: Uint8Array): Attributes {
    this.#directory(parent);
    const node = this.#tree.lookup(parent, name);
    if (node === undefined) throw Errno.of('ENOENT');
    return this.getattr(node);
  }

  getattr(node: number): Attributes {
    const known = this.#attributes[node];
    if (known !== undefined) return known;
    const inode = this.#inode(node);
    const data = inode.type === 'file' ? dataBytes(inode.extents) : 0;
    const made = attributesOf(node, inode, data, this.#tree.links(node));
    this.#attributes[node] = made;
    return made;
  }

  readlink(node: number): Uint8Array {
    const inode = this.#inode(node);
    if (inode.type !== 'symlink') throw Errno.of('EINVAL');
    return inode.target;
  }

  read(node: number, offset: number, length: number, out: Region, outOffset: number): number {
    const file = this.#file(node);
    try {
      return this.#reader.read(file, offset, length, out, outOffset);
    } catch (error) {
      if (!(error instanceof CkptfsError) || (error.code !== 'damaged' && error.code !== 'io')) throw error;
      this.#onDamage(`cannot read ${quotedPath(this.#tree.pathOf(node))}: ${error.message}`);
      throw Errno.of('EIO');
    }
  }

  /** A cookie is the position behind its entry. */
  entryAfter(directory: number, cookie: number): DirectoryEntry | undefined {
    this.#directory(directory);
    const next = cookie + 1;
    if (cookie === 0) return { cookie: next, name: DOT, attributes: this.getattr(directory) };
    if (cookie === 1) return { cookie: next, name: DOT_DOT, attributes: this.getattr(this.#tree.parent(directory)) };
    const child = this.#tree.child(directory, cookie - 2);
    return child && { cookie: next, name: child.name, attributes: this.getattr(child.inode) };
  }

  statfs(): Statistics {
    return statisticsOf(this.#inodes);
  }

  getxattr(node: number, name: Uint8Array): Uint8Array {
    if (STOPS_XATTR_REQUESTS && !this.#hasXattrs) throw Errno.of('ENOSYS');
    const found = this.#inode(node).xattrs.find((xattr) => xattr.name.equals(name));
    if (found === undefined) throw Errno.of('ENODATA');
    return found.value;
  }

  listxattr(node: number): readonly Uint8Array[] {
    return this.#inode(node).xattrs.map(({ name }) => name);
  }

  seek(node: number, offset: number, whence: 'data' | 'hole'): number {
    const { extents, size } = this.#file(node);
    const found = seekExtent(extents, size, offset, whence);
    if (found === undefined) throw Errno.of('ENXIO');
    return found;
  }

  #inode(node: number): Inode {
    const inode = this.#tree.inode(node);
    if (inode === undefined) throw Errno.of('ENOENT');
    return inode;
  }

  #directory(node: number): void {
    if (this.#inode(node).type !== 'directory') throw Errno.of('ENOTDIR');
  }

  #file(node: number): FileInode {
    const inode = this.#inode(node);
    if (inode.type === 'directory') throw Errno.of('EISDIR');
    if (inode.type !== 'file') throw Errno.of('EINVAL');
    return inode;
  }
}

/** A full file system, just as large as what is in it. */
function statisticsOf(inodes: readonly Inode[]): Statistics {
  let blocks = 0;
  for (const inode of inodes) if (inode.type === 'file') blocks += Math.ceil(dataBytes(inode.extents) / BLOCK_SIZE);
  return { blockSize: BLOCK_SIZE, blocks, freeBlocks: 0, files: inodes.length, freeFiles: 0, nameMax: NAME_MAX };
}
