import type { Region } from '../base/linux/native.ts';
import type { RenameMode } from '../base/names.ts';
import type {
  AllocateMode,
  AttributeChanges,
  Attributes,
  Caller,
  DirectoryEntry,
  MeetingType,
  Statistics,
  WritableFileSystem,
} from '../fuse/protocol/filesystem.ts';

/** Passes every operation on to another file system. A decorator extends it by the operations that it changes. */
export class ForwardingTree<Inner extends WritableFileSystem> implements WritableFileSystem {
  readonly immutable = false;
  protected readonly inner: Inner;

  constructor(inner: Inner) {
    this.inner = inner;
  }

  lookup(parent: number, name: Uint8Array): Attributes {
    return this.inner.lookup(parent, name);
  }

  getattr(node: number): Attributes {
    return this.inner.getattr(node);
  }

  readlink(node: number): Uint8Array {
    return this.inner.readlink(node);
  }

  read(node: number, offset: number, length: number, out: Region, outOffset: number): number {
    return this.inner.read(node, offset, length, out, outOffset);
  }

  entryAfter(directory: number, cookie: number): DirectoryEntry | undefined {
    return this.inner.entryAfter(directory, cookie);
  }

  statfs(): Statistics {
    return this.inner.statfs();
  }

  getxattr(node: number, name: Uint8Array): Uint8Array {
    return this.inner.getxattr(node, name);
  }

  listxattr(node: number): readonly Uint8Array[] {
    return this.inner.listxattr(node);
  }

  seek(node: number, offset: number, whence: 'data' | 'hole'): number {
    return this.inner.seek(node, offset, whence);
  }

  create(parent: number, name: Uint8Array, mode: number, caller: Caller): Attributes {
    return this.inner.create(parent, name, mode, caller);
  }

  createsDirect(name: Uint8Array, thread: number): boolean {
    return this.inner.createsDirect(name, thread);
  }

  mknod(parent: number, name: Uint8Array, type: MeetingType, mode: number, caller: Caller): Attributes {
    return this.inner.mknod(parent, name, type, mode, caller);
  }

  mkdir(parent: number, name: Uint8Array, mode: number, caller: Caller): Attributes {
    return this.inner.mkdir(parent, name, mode, caller);
  }

  symlink(parent: number, name: Uint8Array, target: Uint8Array, caller: Caller): Attributes {
    return this.inner.symlink(parent, name, target, caller);
  }

  link(node: number, newParent: number, newName: Uint8Array): Attributes {
    return this.inner.link(node, newParent, newName);
  }

  unlink(parent: number, name: Uint8Array): void {
    this.inner.unlink(parent, name);
  }

  rmdir(parent: number, name: Uint8Array): void {
    this.inner.rmdir(parent, name);
  }

  rename(parent: number, name: Uint8Array, newParent: number, newName: Uint8Array, how: RenameMode): void {
    this.inner.rename(parent, name, newParent, newName, how);
  }

  setattr(node: number, changes: AttributeChanges): Attributes {
    return this.inner.setattr(node, changes);
  }

  write(node: number, offset: number, length: number, from: Region, fromOffset: number, killPrivileges: boolean): void {
    this.inner.write(node, offset, length, from, fromOffset, killPrivileges);
  }

  allocate(node: number, offset: number, length: number, how: AllocateMode, killPrivileges: boolean): void {
    this.inner.allocate(node, offset, length, how, killPrivileges);
  }

  setxattr(node: number, name: Uint8Array, value: Uint8Array, how: 'any' | 'create' | 'replace'): void {
    this.inner.setxattr(node, name, value, how);
  }

  removexattr(node: number, name: Uint8Array): void {
    this.inner.removexattr(node, name);
  }

  flush(node: number): void {
    this.inner.flush(node);
  }

  sync(node: number): void {
    this.inner.sync(node);
  }

  settle(): void {
    this.inner.settle();
  }

  addLookup(node: number): void {
    this.inner.addLookup(node);
  }

  forget(node: number, lookups: number): void {
    this.inner.forget(node, lookups);
  }
}
