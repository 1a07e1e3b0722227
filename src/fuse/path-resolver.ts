import { FUSE_ROOT_ID } from './abi.ts';
import type { Attributes, FileSystem } from './filesystem.ts';

/** Nodes remembered by path; beyond that the oldest one is forgotten. */
const mostRemembered = 4096;

/** Finds nodes by path in a file system that only looks up one name at a time, and remembers what never changes. */
export class PathResolver {
  readonly #fileSystem: FileSystem;
  readonly #remembered = new Map<string, number>();

  constructor(fileSystem: FileSystem) {
    this.#fileSystem = fileSystem;
  }

  /** @param path absolute, without "." and "..", as libfuse makes them. Throws ENOENT, ENOTDIR. */
  resolve(path: string): Attributes {
    const known = this.#remembered.get(path);
    if (known !== undefined) return this.#fileSystem.getattr(known);
    let found = this.#fileSystem.getattr(FUSE_ROOT_ID);
    for (const name of path.split('/')) {
      if (name !== '') found = this.#fileSystem.lookup(found.node, Buffer.from(name, 'utf8'));
    }
    if (this.#fileSystem.immutable) this.#remember(path, found.node);
    return found;
  }

  #remember(path: string, node: number): void {
    if (this.#remembered.size >= mostRemembered) {
      const oldest = this.#remembered.keys().next();
      if (!oldest.done) this.#remembered.delete(oldest.value);
    }
    this.#remembered.set(path, node);
  }
}
