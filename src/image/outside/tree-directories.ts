import type { Directory } from '../../base/linux/directory.ts';

/** The directory and the name of an inode in a tree. */
export interface PlaceInTree {
  /** Number of the directory. */
  readonly parent: number;
  readonly name: Uint8Array;
}

/** Finds the place of an inode by its number; undefined for the root. */
export type FindPlace = (inode: number) => PlaceInTree | undefined;

/** The number of directories that a walk keeps open by default: enough to open those of a usual tree once. */
const DEFAULT_MAX_OPEN = 64;

/**
 * Opens the directories of a tree by their numbers, each by its name in its parent, without following a link. So a tree
 * may be of any depth, and PATH_MAX does not matter. The directories that were used last stay open. A closed one is
 * reached again from the nearest ancestor that is open; a depth-first walk rarely needs that.
 */
export class TreeDirectories {
  readonly #root: Directory;
  readonly #place: FindPlace;
  readonly #check: (inode: number, directory: Directory) => void;
  readonly #maxOpen: number;
  /** The least recently used directory comes first. */
  readonly #open = new Map<number, Directory>();

  /**
   * @param root is not closed here
   * @param options.check throws if the directory that was opened is not the one that it should be
   * @param options.maxOpen at least 2
   */
  constructor(
    root: Directory,
    place: FindPlace,
    options: { readonly check?: (inode: number, directory: Directory) => void; readonly maxOpen?: number } = {},
  ) {
    this.#root = root;
    this.#place = place;
    this.#check = options.check ?? (() => undefined);
    this.#maxOpen = options.maxOpen ?? DEFAULT_MAX_OPEN;
  }

  /**
   * Returns a directory, which stays open until others are asked for.
   * @param kept the number of another one that must stay open as well
   * @throws Error of open(2), ENOTDIR also for a symbolic link
   */
  get(inode: number, kept?: number): Directory {
    const way: { inode: number; name: Uint8Array }[] = [];
    let directory: Directory | undefined;
    let at = inode;
    for (;;) {
      directory = this.#open.get(at);
      if (directory !== undefined) break;
      const place = this.#place(at);
      if (place === undefined) {
        directory = this.#root;
        break;
      }
      way.push({ inode: at, name: place.name });
      at = place.parent;
    }
    if (directory !== this.#root) this.#use(at, directory);
    for (const step of way.reverse()) {
      directory = this.#enter(directory, step.inode, step.name);
      this.#use(step.inode, directory);
      this.#closeOldest(step.inode, kept);
    }
    return directory;
  }

  close(): void {
    for (const directory of this.#open.values()) directory.close();
    this.#open.clear();
  }

  #enter(parent: Directory, inode: number, name: Uint8Array): Directory {
    const directory = parent.openDirectory(name);
    try {
      this.#check(inode, directory);
    } catch (error) {
      directory.close();
      throw error;
    }
    return directory;
  }

  #use(inode: number, directory: Directory): void {
    this.#open.delete(inode);
    this.#open.set(inode, directory);
  }

  #closeOldest(used: number, kept: number | undefined): void {
    for (const [inode, directory] of this.#open) {
      if (this.#open.size <= this.#maxOpen) return;
      if (inode === used || inode === kept) continue;
      directory.close();
      this.#open.delete(inode);
    }
  }
}

/** Returns the path of an inode below a root, for messages and reports. */
export function pathInTree(root: string, inode: number, place: FindPlace): string {
  const names: string[] = [];
  for (let found = place(inode); found !== undefined; found = place(found.parent)) {
    names.push(Buffer.from(found.name).toString());
  }
  const path = names.reverse().join('/');
  return path === '' ? root : `${root}/${path}`;
}
