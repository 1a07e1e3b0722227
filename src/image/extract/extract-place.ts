import { Directory } from '../../base/linux/directory.ts';
import { printable } from '../../base/printable.ts';
import { MAX_PATH_SHOWN } from '../outside/losses.ts';
import { type PlaceInTree, pathInTree, TreeDirectories } from '../outside/tree-directories.ts';
import type { ImageTree } from '../read/tree.ts';

/** The destination of an extraction. */
export interface Place {
  /** Descriptor of the directory. All threads of the process share it. */
  readonly root: number;
  /** The path of the directory that the user gave. */
  readonly target: string;
  /** By inode number: the files whose first name cannot be made, and the names that they have instead. */
  readonly renamed?: ReadonlyMap<number, PlaceInTree>;
}

/** Finds where each inode of an image is made below a destination: under the first of its names that can be made. */
export class ExtractedTree {
  readonly directories: TreeDirectories;
  readonly #tree: ImageTree;
  readonly #root: number;
  readonly #target: string;
  readonly #renamed: Map<number, PlaceInTree>;

  constructor(tree: ImageTree, { root, target, renamed }: Place, maxOpen?: number) {
    this.#tree = tree;
    this.#root = root;
    this.#target = target;
    this.#renamed = new Map(renamed);
    this.directories = new TreeDirectories(Directory.fromDescriptor(root), (inode) => tree.place(inode), {
      ...(maxOpen === undefined ? {} : { maxOpen }),
    });
  }

  /** The destination, for other threads. Names are copied, since a message with one would have the buffer of all. */
  get place(): Place {
    const copies = [...this.#renamed].map(
      ([inode, { parent, name }]) => [inode, { parent, name: Uint8Array.from(name) }] as const,
    );
    return { root: this.#root, target: this.#target, renamed: new Map(copies) };
  }

  /** Returns the name under which an inode is made; undefined for the root. */
  placeOf(inode: number): PlaceInTree | undefined {
    return this.#renamed.get(inode) ?? this.#tree.place(inode);
  }

  /** Notes that an inode, not a directory, was made under another name than its first. */
  rename(inode: number, place: PlaceInTree): void {
    this.#renamed.set(inode, place);
  }

  /** Returns the path under which an inode is made, for messages. A long one is shortened in the middle. */
  pathOf(inode: number): string {
    return printable(
      pathInTree(this.#target, inode, (at) => this.placeOf(at)),
      MAX_PATH_SHOWN,
    );
  }

  /** Returns the path of any name, for messages. */
  pathOfName(parent: number, name: Uint8Array): string {
    return printable(`${this.pathOf(parent)}/${Buffer.from(name)}`, MAX_PATH_SHOWN);
  }

  close(): void {
    this.directories.close();
  }
}
