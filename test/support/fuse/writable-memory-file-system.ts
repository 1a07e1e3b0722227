import { Errno } from '../../../src/base/errno.ts';
import type { Region } from '../../../src/base/linux/native.ts';
import type { RenameMode } from '../../../src/base/names.ts';
import type { Time } from '../../../src/base/time.ts';
import type {
  AllocateMode,
  AttributeChanges,
  Attributes,
  Caller,
  DirectoryEntry,
  MeetingType,
  Statistics,
  WritableFileSystem,
} from '../../../src/fuse/protocol/filesystem.ts';
import { MemoryDirectory } from './memory-directory.ts';
import { MemoryNode, now } from './memory-node.ts';
import { SparseContent } from './sparse-content.ts';

const blockSize = 4096;
const root = 1;
const setGroupId = 0o2000;

/** A file system in memory that can be changed: what the contract of WritableFileSystem says, in the shortest way. */
export class WritableMemoryFileSystem implements WritableFileSystem {
  readonly immutable = false;
  readonly nodes = new Map<number, MemoryNode>();
  readonly flushed: number[] = [];
  readonly synced: number[] = [];
  /** What {@link createsDirect} says. */
  isDirect = false;
  readonly #capacity: number;
  readonly #clock: () => Time;
  #nextNode = root;

  /** @param capacity most blocks of 4 KiB that all files together can have */
  constructor(capacity = Number.POSITIVE_INFINITY, clock: () => Time = now) {
    this.#capacity = capacity;
    this.#clock = clock;
    this.#add(
      new MemoryNode(this.#nextNode++, 0o40755, { uid: 0, gid: 0 }, clock, {
        parent: root,
        names: new MemoryDirectory(),
      }),
    );
    this.#node(root).links = 1;
  }

  lookup(parent: number, name: Uint8Array): Attributes {
    return this.#find(parent, name).attributes();
  }

  getattr(node: number): Attributes {
    return this.#node(node).attributes();
  }

  readlink(node: number): Uint8Array {
    const { target } = this.#node(node);
    if (target === undefined) throw Errno.of('EINVAL');
    return target;
  }

  read(node: number, offset: number, length: number, out: Region, outOffset: number): number {
    const bytes = this.#content(node).read(offset, length);
    out.bytes.set(bytes, outOffset);
    return bytes.length;
  }

  entryAfter(directory: number, cookie: number): DirectoryEntry | undefined {
    const { parent, names } = this.#node(directory).directory();
    if (cookie === 0) return { cookie: 1, name: Buffer.from('.'), attributes: this.getattr(directory) };
    if (cookie === 1) return { cookie: 2, name: Buffer.from('..'), attributes: this.getattr(parent) };
    const child = names.after(cookie);
    return child && { cookie: child.cookie, name: fromText(child.name), attributes: this.getattr(child.node) };
  }

  statfs(): Statistics {
    const blocks = Math.min(this.#capacity, 2 ** 40);
    const free = { freeBlocks: blocks - this.#used(), freeFiles: 1000 };
    return { blockSize, blocks, files: this.nodes.size, nameMax: 255, ...free };
  }

  getxattr(node: number, name: Uint8Array): Uint8Array {
    const value = this.#node(node).xattrs.get(toText(name));
    if (value === undefined) throw Errno.of('ENODATA');
    return value;
  }

  listxattr(node: number): readonly Uint8Array[] {
    return [...this.#node(node).xattrs.keys()].map(fromText);
  }

  seek(node: number, offset: number, whence: 'data' | 'hole'): number {
    const found = this.#content(node).seek(offset, whence);
    if (found === undefined) throw Errno.of('ENXIO');
    return found;
  }

  create(parent: number, name: Uint8Array, mode: number, caller: Caller): Attributes {
    return this.#make(parent, name, 0o100000 | mode, caller, { content: new SparseContent() });
  }

  createsDirect(): boolean {
    return this.isDirect;
  }

  mknod(parent: number, name: Uint8Array, type: MeetingType, mode: number, caller: Caller): Attributes {
    return this.#make(parent, name, (type === 'fifo' ? 0o10000 : 0o140000) | mode, caller, {});
  }

  mkdir(parent: number, name: Uint8Array, mode: number, caller: Caller): Attributes {
    const inherited = this.#node(parent).mode & setGroupId;
    return this.#make(parent, name, 0o40000 | mode | inherited, caller, { parent, names: new MemoryDirectory() });
  }

  symlink(parent: number, name: Uint8Array, target: Uint8Array, caller: Caller): Attributes {
    return this.#make(parent, name, 0o120777, caller, { target: Buffer.from(target) });
  }

  link(node: number, newParent: number, newName: Uint8Array): Attributes {
    const linked = this.#node(node);
    if (linked.names !== undefined) throw Errno.of('EPERM');
    this.#put(newParent, newName, linked);
    return linked.attributes();
  }

  unlink(parent: number, name: Uint8Array): void {
    const node = this.#find(parent, name);
    if (node.names !== undefined) throw Errno.of('EISDIR');
    this.#take(parent, name, node);
  }

  rmdir(parent: number, name: Uint8Array): void {
    const node = this.#find(parent, name);
    if (node.directory().names.size > 0) throw Errno.of('ENOTEMPTY');
    this.#take(parent, name, node);
  }

  rename(parent: number, name: Uint8Array, newParent: number, newName: Uint8Array, how: RenameMode): void {
    const moved = this.#find(parent, name);
    const target = this.#node(newParent).directory();
    const known = target.names.find(toText(newName));
    const replaced = known && this.#node(known.node);
    if (how === 'no-replace' && replaced !== undefined) throw Errno.of('EEXIST');
    if (how === 'exchange' && replaced === undefined) throw Errno.of('ENOENT');
    this.#refuseInto(moved, newParent);
    if (replaced === moved) return;
    if (how === 'exchange' && replaced !== undefined) {
      this.#refuseInto(replaced, parent);
      this.#settle(parent, name, replaced);
    } else {
      if (replaced !== undefined) this.#clearWay(moved, replaced);
      this.#node(parent).directory().names.remove(toText(name));
      this.#node(parent).touch();
    }
    this.#settle(newParent, newName, moved);
  }

  setattr(node: number, changes: AttributeChanges): Attributes {
    const changed = this.#node(node);
    if (changes.size !== undefined) {
      const content = this.#content(node);
      content.resize(changes.size);
    }
    changed.change(changes);
    return changed.attributes();
  }

  write(node: number, offset: number, length: number, from: Region, fromOffset: number, killPrivileges: boolean): void {
    const content = this.#content(node);
    if (this.#used() + Math.ceil(length / blockSize) > this.#capacity) throw Errno.of('ENOSPC');
    content.write(offset, from.bytes.subarray(fromOffset, fromOffset + length));
    this.#node(node).change({ killPrivileges, mtime: 'now' });
  }

  allocate(node: number, offset: number, length: number, how: AllocateMode, killPrivileges: boolean): void {
    const content = this.#content(node);
    if (how !== 'extend' && how !== 'keep-size') content.punch(offset, length);
    if (how === 'extend' || how === 'zero') content.grow(offset + length);
    this.#node(node).change({ killPrivileges, mtime: 'now' });
  }

  setxattr(node: number, name: Uint8Array, value: Uint8Array, how: 'any' | 'create' | 'replace'): void {
    const { xattrs } = this.#node(node);
    const text = toText(name);
    if (!text.startsWith('user.')) throw Errno.of('EOPNOTSUPP');
    if (how === 'create' && xattrs.has(text)) throw Errno.of('EEXIST');
    if (how === 'replace' && !xattrs.has(text)) throw Errno.of('ENODATA');
    xattrs.set(text, Buffer.from(value));
    this.#node(node).change({});
  }

  removexattr(node: number, name: Uint8Array): void {
    if (!this.#node(node).xattrs.delete(toText(name))) throw Errno.of('ENODATA');
    this.#node(node).change({});
  }

  flush(node: number): void {
    this.flushed.push(this.#node(node).number);
  }

  sync(node: number): void {
    this.synced.push(this.#node(node).number);
  }

  settle(): void {}

  addLookup(node: number): void {
    this.#node(node).remembered++;
  }

  forget(node: number, lookups: number): void {
    const forgotten = this.nodes.get(node);
    if (forgotten === undefined) return;
    forgotten.remembered = Math.max(0, forgotten.remembered - lookups);
    this.#dropUnused(forgotten);
  }

  #node(node: number): MemoryNode {
    const found = this.nodes.get(node);
    if (found === undefined) throw Errno.of('ENOENT');
    return found;
  }

  #find(parent: number, name: Uint8Array): MemoryNode {
    const child = this.#node(parent).directory().names.find(toText(name));
    if (child === undefined) throw Errno.of('ENOENT');
    return this.#node(child.node);
  }

  #content(node: number): SparseContent {
    const { content, names } = this.#node(node);
    if (content === undefined) throw Errno.of(names === undefined ? 'EINVAL' : 'EISDIR');
    return content;
  }

  #used(): number {
    return [...this.nodes.values()].reduce((sum, { content }) => sum + (content?.blocks ?? 0), 0);
  }

  #add(node: MemoryNode): MemoryNode {
    this.nodes.set(node.number, node);
    return node;
  }

  #make(parent: number, name: Uint8Array, mode: number, caller: Caller, rest: Partial<MemoryNode>): Attributes {
    const directory = this.#node(parent);
    const gid = (directory.mode & setGroupId) !== 0 ? directory.gid : caller.gid;
    const node = new MemoryNode(this.#nextNode, mode, { uid: caller.uid, gid }, this.#clock, rest);
    this.#put(parent, name, node);
    this.#nextNode++;
    this.#add(node);
    return node.attributes();
  }

  /** A first or further name. */
  #put(parent: number, name: Uint8Array, node: MemoryNode): void {
    const directory = this.#node(parent);
    const { names } = directory.directory();
    if (directory.links === 0) throw Errno.of('ENOENT');
    if (names.find(toText(name)) !== undefined) throw Errno.of('EEXIST');
    names.put(toText(name), node.number);
    node.links++;
    node.change({});
    directory.touch();
  }

  #take(parent: number, name: Uint8Array, node: MemoryNode): void {
    const directory = this.#node(parent);
    directory.directory().names.remove(toText(name));
    directory.touch();
    node.links--;
    node.change({});
    this.#dropUnused(node);
  }

  #dropUnused(node: MemoryNode): void {
    if (node.links === 0 && node.remembered === 0) this.nodes.delete(node.number);
  }

  /** Lets a name stand for a node that has lost another one. A name that was there stays, and with it its cookie. */
  #settle(parent: number, name: Uint8Array, node: MemoryNode): void {
    const directory = this.#node(parent);
    directory.directory().names.put(toText(name), node.number);
    directory.touch();
    node.change({});
    if (node.names !== undefined) node.parent = parent;
  }

  /** What is to give up its name to `moved`. */
  #clearWay(moved: MemoryNode, replaced: MemoryNode): void {
    if (moved.names !== undefined && replaced.names === undefined) throw Errno.of('ENOTDIR');
    if (moved.names === undefined && replaced.names !== undefined) throw Errno.of('EISDIR');
    if ((replaced.names?.size ?? 0) > 0) throw Errno.of('ENOTEMPTY');
    replaced.links--;
    replaced.change({});
    this.#dropUnused(replaced);
  }

  /** A directory cannot go into itself, nor below. */
  #refuseInto(moved: MemoryNode, into: number): void {
    if (moved.names === undefined) return;
    for (let at = into; ; at = this.#node(at).directory().parent) {
      if (at === moved.number) throw Errno.of('EINVAL');
      if (at === root) return;
    }
  }
}

/** One character per byte. */
function toText(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1');
}

function fromText(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}
