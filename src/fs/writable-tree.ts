import { Errno } from '../base/errno.ts';
import type { Region } from '../base/linux/native.ts';
import type { RenameMode } from '../base/names.ts';
import { type Time, timeAt } from '../base/time.ts';
import { ROOT_INODE } from '../format/manifest.ts';
import { isKeptXattr } from '../format/xattrs.ts';
import type {
  AllocateMode,
  AttributeChanges,
  Attributes,
  Caller,
  DirectoryEntry,
  MeetingType,
  Statistics,
} from '../fuse/protocol/filesystem.ts';
import type { LiveDirectory, LiveInode } from '../image/writable/model/live-inode.ts';
import type { WritableImage } from '../image/writable/writable-image.ts';
import { attributesOf, DOT, DOT_DOT, NAME_MAX } from './attributes.ts';
import { type PageFiles, writesDirect } from './direct-opens.ts';
import { metadataChanges, newDirectory, newInode } from './metadata-changes.ts';
import type { ReservingFileSystem } from './reserving-file-system.ts';
import { type FaultListener, StoreFaults } from './store-faults.ts';

/** Cookies of "." and "..". That of a child is DOT_DOT_COOKIE plus its serial, and serials begin with 1. */
const DOT_COOKIE = 1;
const DOT_DOT_COOKIE = 2;

/** The number of inode numbers. */
const MAX_FILES = 0xffff_ffff;

/**
 * Serves an image that is being written as a file system. A node's number is its inode number. One thread must have it
 * for itself.
 */
export class WritableTree implements ReservingFileSystem {
  readonly immutable = false;
  readonly #image: WritableImage;
  readonly #faults: StoreFaults;
  readonly #clock: () => number;
  readonly #pageFiles: PageFiles;
  /** The lookup count of each node that has one above 0. */
  readonly #lookups = new Map<number, number>();

  /**
   * @param pageFiles which new files are written past the page cache
   * @param clock milliseconds since 1970; the image's own
   */
  constructor(
    image: WritableImage,
    onFault: FaultListener,
    pageFiles: PageFiles = 'auto',
    clock: () => number = Date.now,
  ) {
    this.#image = image;
    this.#faults = new StoreFaults((node) => image.pathOf(node), onFault);
    this.#pageFiles = pageFiles;
    this.#clock = clock;
  }

  lookup(parent: number, name: Uint8Array): Attributes {
    return this.#attempt('look into', parent, () => {
      const node = this.#image.lookup(parent, name);
      if (node === undefined) throw Errno.of('ENOENT');
      return this.getattr(node);
    });
  }

  getattr(node: number): Attributes {
    const inode = this.#inode(node);
    // A node that was removed and is still open has no name; a directory then does not count its own "." either.
    const links = inode.names === 0 && node !== ROOT_INODE ? 0 : inode.links;
    return attributesOf(node, inode, inode.type === 'file' ? inode.dataBytes : 0, links);
  }

  readlink(node: number): Uint8Array {
    const inode = this.#inode(node);
    if (inode.type !== 'symlink') throw Errno.of('EINVAL');
    return inode.target;
  }

  read(node: number, offset: number, length: number, out: Region, outOffset: number): number {
    return this.#attempt('read', node, () => this.#image.read(node, offset, length, out, outOffset));
  }

  entryAfter(directory: number, cookie: number): DirectoryEntry | undefined {
    const { parent } = this.#directory(directory);
    if (cookie < DOT_COOKIE) return { cookie: DOT_COOKIE, name: DOT, attributes: this.getattr(directory) };
    if (cookie < DOT_DOT_COOKIE) return { cookie: DOT_DOT_COOKIE, name: DOT_DOT, attributes: this.getattr(parent) };
    const serial = cookie === DOT_DOT_COOKIE ? Number.POSITIVE_INFINITY : cookie - DOT_DOT_COOKIE;
    const child = this.#image.nameBefore(directory, serial);
    if (child === undefined) return undefined;
    return { cookie: DOT_DOT_COOKIE + child.serial, name: child.name, attributes: this.getattr(child.inode) };
  }

  /**
   * Returns the free space of the file system below, of which encryption takes a little. Files need no inodes there, so
   * their number is bounded by the inode numbers of the image alone.
   */
  statfs(): Statistics {
    const { blockSize, blocks, freeBlocks } = this.#attempt('look below', ROOT_INODE, () => this.#image.space());
    const freeFiles = MAX_FILES - this.#image.inodeCount;
    return { blockSize, blocks, freeBlocks, files: MAX_FILES, freeFiles, nameMax: NAME_MAX };
  }

  getxattr(node: number, name: Uint8Array): Uint8Array {
    const found = this.#inode(node).xattrs.find((xattr) => xattr.name.equals(name));
    if (found === undefined) throw Errno.of('ENODATA');
    return found.value;
  }

  listxattr(node: number): readonly Uint8Array[] {
    return this.#inode(node).xattrs.map(({ name }) => name);
  }

  seek(node: number, offset: number, whence: 'data' | 'hole'): number {
    return this.#attempt('read', node, () => {
      const found = this.#image.seek(node, offset, whence);
      if (found === undefined) throw Errno.of('ENXIO');
      return found;
    });
  }

  create(parent: number, name: Uint8Array, mode: number, caller: Caller): Attributes {
    return this.#make(parent, () => this.#image.create(parent, name, newInode(this.#directory(parent), mode, caller)));
  }

  createsDirect(name: Uint8Array, thread: number): boolean {
    return writesDirect(this.#pageFiles, name, thread);
  }

  mkdir(parent: number, name: Uint8Array, mode: number, caller: Caller): Attributes {
    return this.#make(parent, () =>
      this.#image.mkdir(parent, name, newDirectory(this.#directory(parent), mode, caller)),
    );
  }

  mknod(parent: number, name: Uint8Array, type: MeetingType, mode: number, caller: Caller): Attributes {
    return this.#make(parent, () =>
      this.#image.mknod(parent, name, type, newInode(this.#directory(parent), mode, caller)),
    );
  }

  symlink(parent: number, name: Uint8Array, target: Uint8Array, caller: Caller): Attributes {
    return this.#make(parent, () =>
      this.#image.symlink(parent, name, target, newInode(this.#directory(parent), 0o777, caller)),
    );
  }

  link(node: number, newParent: number, newName: Uint8Array): Attributes {
    return this.#make(newParent, () => {
      this.#image.link(node, newParent, newName);
      return node;
    });
  }

  unlink(parent: number, name: Uint8Array): void {
    this.#attempt('remove from', parent, () => {
      const node = this.#image.lookup(parent, name);
      this.#image.unlink(parent, name);
      this.#releaseUnused(node);
    });
  }

  rmdir(parent: number, name: Uint8Array): void {
    this.#attempt('remove from', parent, () => {
      const node = this.#image.lookup(parent, name);
      this.#image.rmdir(parent, name);
      this.#releaseUnused(node);
    });
  }

  rename(parent: number, name: Uint8Array, newParent: number, newName: Uint8Array, how: RenameMode): void {
    this.#attempt('rename in', parent, () => {
      const replaced = this.#image.lookup(newParent, newName);
      this.#image.rename(parent, name, newParent, newName, how);
      this.#releaseUnused(replaced);
    });
  }

  setattr(node: number, changes: AttributeChanges): Attributes {
    const { size } = changes;
    return this.#attempt('change', node, () => {
      if (size !== undefined) this.#image.truncate(node, size);
      const metadata = metadataChanges(this.#inode(node), changes, this.#now());
      // Every request for a change sets the ctime, even chown(-1, -1); a new size has set it already.
      if (metadata !== undefined || size === undefined) this.#image.setMetadata(node, metadata ?? {});
      return this.getattr(node);
    });
  }

  write(node: number, offset: number, length: number, from: Region, fromOffset: number, killPrivileges: boolean): void {
    this.reserve(node, offset, length, killPrivileges);
    this.writeReserved(node, offset, length, from, fromOffset);
  }

  /** Takes set-user-id bits away first: where that fails nothing is written. */
  reserve(node: number, offset: number, length: number, killPrivileges: boolean): boolean {
    return this.#attempt('write', node, () => {
      if (killPrivileges) this.#killPrivileges(node);
      return this.#image.reserve(node, offset, length);
    });
  }

  writeReserved(node: number, offset: number, length: number, from: Region, fromOffset: number): void {
    this.#attempt('write', node, () => this.#image.writeReserved(node, offset, length, from, fromOffset));
  }

  settle(): void {
    // Each write is stored when it returns.
  }

  /** Reserves no space. */
  allocate(node: number, offset: number, length: number, how: AllocateMode, killPrivileges: boolean): void {
    this.#attempt('write', node, () => {
      this.#checkFile(node);
      if (killPrivileges) this.#killPrivileges(node);
      if (how !== 'extend' && how !== 'keep-size') this.#image.punch(node, offset, length);
      if (how === 'extend' || how === 'zero') this.#image.extend(node, offset + length);
      this.#image.touch(node);
    });
  }

  setxattr(node: number, name: Uint8Array, value: Uint8Array, how: 'any' | 'create' | 'replace'): void {
    this.#attempt('change', node, () => {
      if (!isKeptXattr(name)) throw Errno.of('EOPNOTSUPP');
      this.#image.setxattr(node, name, value, how);
    });
  }

  removexattr(node: number, name: Uint8Array): void {
    this.#attempt('change', node, () => this.#image.removexattr(node, name));
  }

  /** Commits all files: a frame of the journal has everything that changed. */
  flush(node: number): void {
    this.#image.unstored.closed(node);
    this.#attempt('write', node, () => this.#image.commit());
  }

  sync(node: number): void {
    this.#attempt('make durable', node, () => this.#image.sync());
  }

  addLookup(node: number): void {
    this.#lookups.set(node, (this.#lookups.get(node) ?? 0) + 1);
  }

  forget(node: number, lookups: number): void {
    const left = (this.#lookups.get(node) ?? 0) - lookups;
    if (left > 0) {
      this.#lookups.set(node, left);
      return;
    }
    this.#lookups.delete(node);
    this.#releaseUnused(node);
  }

  #make(parent: number, make: () => number): Attributes {
    return this.#attempt('make a name in', parent, () => this.getattr(make()));
  }

  #killPrivileges(node: number): void {
    const metadata = metadataChanges(this.#inode(node), { killPrivileges: true }, this.#now());
    if (metadata !== undefined) this.#image.setMetadata(node, metadata);
  }

  /** Removes a node that has no name and a lookup count of 0. */
  #releaseUnused(node: number | undefined): void {
    if (node === undefined || this.#lookups.has(node)) return;
    this.#image.release(node);
  }

  #inode(node: number): Readonly<LiveInode> {
    const inode = this.#image.inode(node);
    if (inode === undefined) throw Errno.of('ENOENT');
    return inode;
  }

  #directory(node: number): Readonly<LiveDirectory> {
    const inode = this.#inode(node);
    if (inode.type !== 'directory') throw Errno.of('ENOTDIR');
    return inode;
  }

  #checkFile(node: number): void {
    const { type } = this.#inode(node);
    if (type === 'directory') throw Errno.of('EISDIR');
    if (type !== 'file') throw Errno.of('EINVAL');
  }

  #now(): Time {
    return timeAt(this.#clock());
  }

  #attempt<T>(what: string, node: number, action: () => T): T {
    return this.#faults.attempt(what, node, action);
  }
}
