import { FUSE_ROOT_ID } from '../protocol/abi.ts';
import type { Attributes, FileSystem } from '../protocol/filesystem.ts';

/** The most nodes cached by path; one more drops the oldest. */
const MAX_CACHED = 4096;

/** Finds nodes by path in a file system that looks up one name at a time. Caches nodes of an immutable file system. */
export class PathResolver {
  readonly #fileSystem: FileSystem;
  readonly #cached = new Map<string, number>();

  constructor(fileSystem: FileSystem) {
    this.#fileSystem = fileSystem;
  }

  /** Finds a node. @param path absolute, without "." and "..", like those of libfuse @throws Errno ENOENT, ENOTDIR */
  resolve(path: string): Attributes {
    const known = this.#cached.get(path);
    if (known !== undefined) return this.#fileSystem.getattr(known);
    let found = this.#fileSystem.getattr(FUSE_ROOT_ID);
    for (const name of path.split('/')) {
      if (name !== '') found = this.#fileSystem.lookup(found.node, Buffer.from(name, 'utf8'));
    }
    if (this.#fileSystem.immutable) this.#cache(path, found.node);
    return found;
  }

  #cache(path: string, node: number): void {
    if (this.#cached.size >= MAX_CACHED) {
      const oldest = this.#cached.keys().next();
      if (!oldest.done) this.#cached.delete(oldest.value);
    }
    this.#cached.set(path, node);
  }
}
