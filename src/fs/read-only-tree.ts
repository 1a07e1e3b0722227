import { Errno } from '../base/errno.ts';
import type { Region } from '../base/linux/native.ts';
import { MIN_DIRECT_FILE, STOPS_XATTR_REQUESTS } from '../base/tuning.ts';
import type { FileInode, Inode } from '../format/manifest.ts';
import type { Attributes, DirectoryEntry, FileSystem, Statistics } from '../fuse/protocol/filesystem.ts';
import { dataBytes, seekExtent } from '../image/read/extents.ts';
import type { ImageSource } from '../image/read/image-source.ts';
import type { ImageTree } from '../image/read/tree.ts';
import { attributesOf, BLOCK_SIZE, DOT, DOT_DOT, NAME_MAX } from './attributes.ts';
import { type PageFiles, readsDirect } from './direct-opens.ts';
import type { LockableReader } from './lockable-reader.ts';
import { type FaultListener, StoreFaults } from './store-faults.ts';

/** Reads contents of files, and may be locked. */
type FileReader = Pick<LockableReader, 'read'> & Partial<Pick<LockableReader, 'isLocked'>>;

/**
 * Serves a tree of files as a file system. A node's number is its inode number. Nothing ever changes. One thread must
 * have it for itself.
 */
export class ReadOnlyTree implements FileSystem {
  readonly immutable = true;
  readonly opensDirect: ((node: number, thread: number) => boolean) | undefined;
  readonly #tree: ImageTree;
  readonly #reader: FileReader;
  readonly #faults: StoreFaults;
  readonly #inodes: readonly Inode[];
  /** Whether any node has extended attributes. `ls -l` asks for those of every file, in three of four requests. */
  readonly #hasXattrs: boolean;
  /** By node, made at the first request. */
  readonly #attributes: (Attributes | undefined)[] = [];

  /** @param hearsOpens whether each open is answered here in any case, as NOFLUSH comes with the answer */
  constructor(
    source: Pick<ImageSource, 'manifest'>,
    tree: ImageTree,
    reader: FileReader,
    onFault: FaultListener,
    pageFiles: PageFiles = 'cached',
    hearsOpens = false,
  ) {
    this.#tree = tree;
    this.#reader = reader;
    this.#faults = new StoreFaults(
      (node) => tree.pathOf(node),
      onFault,
      () => Errno.of('EIO'),
    );
    this.#inodes = source.manifest.inodes;
    this.#hasXattrs = this.#inodes.some(({ xattrs }) => xattrs.length > 0);
    this.opensDirect =
      hearsOpens || (pageFiles !== 'cached' && this.#inodes.some(isLarge))
        ? (node, thread) => isLarge(this.#inode(node)) && readsDirect(pageFiles, thread)
        : undefined;
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
      // Not `attempt`, so that a read allocates no closure.
      throw this.#faults.told('read', node, error);
    }
  }

  /** Whether every read fails, because the key is wiped. */
  get isLocked(): boolean {
    return this.#reader.isLocked ?? false;
  }

  /** Bytes of a file. @throws Errno */
  sizeOf(node: number): number {
    return this.#file(node).size;
  }

  /**
   * Reads bytes that no request has asked for yet.
   * @returns false when not all of them are there and verified; the read that asks for them reports why
   */
  readAhead(node: number, offset: number, length: number, out: Region, outOffset: number): boolean {
    const file = this.#file(node);
    try {
      return this.#reader.read(file, offset, length, out, outOffset) === length;
    } catch {
      return false;
    }
  }

  /** Cookies are positions: that of an entry is the number of entries up to it. */
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

function isLarge(inode: Inode): boolean {
  return inode.type === 'file' && inode.size >= MIN_DIRECT_FILE;
}

/** Describes a full file system that is as large as what is in it. */
function statisticsOf(inodes: readonly Inode[]): Statistics {
  let blocks = 0;
  for (const inode of inodes) if (inode.type === 'file') blocks += Math.ceil(dataBytes(inode.extents) / BLOCK_SIZE);
  return { blockSize: BLOCK_SIZE, blocks, freeBlocks: 0, files: inodes.length, freeFiles: 0, nameMax: NAME_MAX };
}
