import { Errno } from '../../../src/base/errno.ts';
import type { Region } from '../../../src/base/linux/native.ts';
import type { Attributes, DirectoryEntry, FileSystem, Statistics } from '../../../src/fuse/protocol/filesystem.ts';
import { allTimes } from '../times.ts';

export interface MemoryNode {
  readonly attributes: Attributes;
  readonly parent: number;
  readonly content?: Uint8Array;
  readonly target?: Uint8Array;
  readonly children?: Map<string, number>;
  readonly xattrs?: Map<string, Uint8Array>;
}

/**
 * A small tree in memory that never changes once it is served. Names are kept as latin1 strings, one character per
 * byte.
 */
export class MemoryFileSystem implements FileSystem {
  readonly immutable = true;
  opensDirect?: (node: number, thread: number) => boolean;
  readonly nodes = new Map<number, MemoryNode>();

  constructor() {
    this.#add(1, 1, 0o40755, 0, { children: new Map() });
  }

  addFile(parent: number, name: string, content: Uint8Array, xattrs?: Map<string, Uint8Array>): number {
    const node = this.#attach(parent, name);
    this.#add(node, parent, 0o100644, content.length, { content, ...(xattrs && { xattrs }) });
    return node;
  }

  addDirectory(parent: number, name: string): number {
    const node = this.#attach(parent, name);
    this.#add(node, parent, 0o40755, 0, { children: new Map() });
    return node;
  }

  addLink(parent: number, name: string, target: Uint8Array): number {
    const node = this.#attach(parent, name);
    this.#add(node, parent, 0o120777, target.length, { target });
    return node;
  }

  lookup(parent: number, name: Uint8Array): Attributes {
    const child = this.#childrenOf(parent).get(Buffer.from(name).toString('latin1'));
    if (child === undefined) throw Errno.of('ENOENT');
    return this.getattr(child);
  }

  getattr(node: number): Attributes {
    return this.#node(node).attributes;
  }

  readlink(node: number): Uint8Array {
    const { target } = this.#node(node);
    if (target === undefined) throw Errno.of('EINVAL');
    return target;
  }

  read(node: number, offset: number, length: number, out: Region, outOffset: number): number {
    const { content } = this.#node(node);
    if (content === undefined) throw Errno.of('EISDIR');
    const part = content.subarray(offset, offset + length);
    out.bytes.set(part, outOffset);
    return part.length;
  }

  entryAfter(directory: number, cookie: number): DirectoryEntry | undefined {
    const children = this.#childrenOf(directory);
    const next = cookie + 1;
    if (cookie === 0) return { cookie: next, name: Buffer.from('.'), attributes: this.getattr(directory) };
    if (cookie === 1) {
      return { cookie: next, name: Buffer.from('..'), attributes: this.getattr(this.#node(directory).parent) };
    }
    const entry = [...children][cookie - 2];
    return entry && { cookie: next, name: Buffer.from(entry[0], 'latin1'), attributes: this.getattr(entry[1]) };
  }

  statfs(): Statistics {
    return { blockSize: 4096, blocks: 1000, freeBlocks: 10, files: this.nodes.size, freeFiles: 3, nameMax: 255 };
  }

  getxattr(node: number, name: Uint8Array): Uint8Array {
    const value = this.#node(node).xattrs?.get(Buffer.from(name).toString('latin1'));
    if (value === undefined) throw Errno.of('ENODATA');
    return value;
  }

  listxattr(node: number): readonly Uint8Array[] {
    return [...(this.#node(node).xattrs?.keys() ?? [])].map((name) => Buffer.from(name, 'latin1'));
  }

  /** Pretends that every second block of 4096 bytes is a hole. */
  seek(node: number, offset: number, whence: 'data' | 'hole'): number {
    const { size } = this.getattr(node);
    if (offset >= size) throw Errno.of('ENXIO');
    const block = Math.floor(offset / 4096);
    if ((block % 2 === 0) === (whence === 'data')) return offset;
    const next = (block + 1) * 4096;
    if (next < size) return next;
    if (whence === 'hole') return size;
    throw Errno.of('ENXIO');
  }

  #node(node: number): MemoryNode {
    const found = this.nodes.get(node);
    if (found === undefined) throw Errno.of('ENOENT');
    return found;
  }

  #childrenOf(directory: number): Map<string, number> {
    const { children } = this.#node(directory);
    if (children === undefined) throw Errno.of('ENOTDIR');
    return children;
  }

  #attach(parent: number, name: string): number {
    const node = this.nodes.size + 1;
    this.#childrenOf(parent).set(name, node);
    return node;
  }

  #add(node: number, parent: number, mode: number, size: number, rest: Partial<MemoryNode>): void {
    const times = allTimes({ seconds: -5, nanoseconds: 999_999_999 });
    const attributes = { node, mode, size, blocks: Math.ceil(size / 512), links: 1, uid: 1000, gid: 100, ...times };
    this.nodes.set(node, { attributes, parent, ...rest });
  }
}
