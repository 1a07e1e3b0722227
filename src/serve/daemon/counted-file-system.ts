import type { Counters } from '../../base/counters.ts';
import type { Region } from '../../base/linux/native.ts';
import type { Attributes, DirectoryEntry, FileSystem, Statistics } from '../../fuse/protocol/filesystem.ts';

/** Counts the requests to a file system, for a transport that does not count them. A listing counts once. */
export class CountedFileSystem implements FileSystem {
  readonly immutable: boolean;
  readonly #inner: FileSystem;
  readonly #counters: Counters;

  constructor(inner: FileSystem, counters: Counters) {
    this.immutable = inner.immutable;
    this.#inner = inner;
    this.#counters = counters;
  }

  lookup(parent: number, name: Uint8Array): Attributes {
    this.#countRequest();
    return this.#inner.lookup(parent, name);
  }

  getattr(node: number): Attributes {
    this.#countRequest();
    return this.#inner.getattr(node);
  }

  readlink(node: number): Uint8Array {
    this.#countRequest();
    return this.#inner.readlink(node);
  }

  read(node: number, offset: number, length: number, out: Region, outOffset: number): number {
    this.#countRequest();
    const count = this.#inner.read(node, offset, length, out, outOffset);
    this.#counters.add('bytesServed', count);
    return count;
  }

  entryAfter(directory: number, cookie: number): DirectoryEntry | undefined {
    if (cookie === 0) this.#countRequest();
    return this.#inner.entryAfter(directory, cookie);
  }

  statfs(): Statistics {
    this.#countRequest();
    return this.#inner.statfs();
  }

  getxattr(node: number, name: Uint8Array): Uint8Array {
    this.#countRequest();
    return this.#inner.getxattr(node, name);
  }

  listxattr(node: number): readonly Uint8Array[] {
    this.#countRequest();
    return this.#inner.listxattr(node);
  }

  seek(node: number, offset: number, whence: 'data' | 'hole'): number {
    this.#countRequest();
    return this.#inner.seek(node, offset, whence);
  }

  #countRequest(): void {
    this.#counters.add('requests', 1);
  }
}
