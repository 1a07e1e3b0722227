import type { Directory } from '../../base/linux/directory.ts';

/** Where an inode of a tree is: in which directory, under which name. */
export interface PlaceInTree {
  /** Number of the directory. */
  readonly parent: number;
  readonly name: Uint8Array;
}

/** Finds the place of an inode by its number; undefined for the root. */
export type FindPlace = (inode: number) => PlaceInTree | undefined;

/** How many directories one walk keeps open unless told: enough that a usual tree is opened once. */
const DEFAULT_MAX_OPEN = 64;

/**
 * Opens the directories of a tree by their numbers, each by its name in the one above, without following a link: so
 * depth has no bound, and PATH_MAX none to do with it. A few stay open, the ones used last; one that was closed is
 * reached again from the nearest one above that is open. A walk in depth-first order, whichever way, costs few such ways.
 */
export class TreeDirectories {
  readonly #root: Directory;
  readonly #place: FindPlace;
  readonly #check: (inode: number, directory: Directory) => void;
  readonly #maxOpen: number;
  /** Least recently used first. */
  readonly #open = new Map<number, Directory>();

  /**
   * @param root stays the caller's
   * @param options.check throws when a directory that was opened is another one than it should be
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
   * Returns a directory, which stays open until others were asked for.
   * @param kept the number of one that must stay open, too
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

/** The path of an inode below a root, for messages and reports. */
export function pathInTree(root: string, inode: number, place: FindPlace): string {
  const names: string[] = [];
  for (let found = place(inode); found !== undefined; found = place(found.parent)) {
    names.push(Buffer.from(found.name).toString());
  }
  const path = names.reverse().join('/');
  return path === '' ? root : `${root}/${path}`;
}
