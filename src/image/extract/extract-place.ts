import { Directory } from '../../base/linux/directory.ts';
import { printable } from '../../base/printable.ts';
import { MAX_PATH_SHOWN } from '../outside/losses.ts';
import { type PlaceInTree, pathInTree, TreeDirectories } from '../outside/tree-directories.ts';
import type { ImageTree } from '../read/tree.ts';

/** Where files are extracted to. */
export interface Place {
  /** Descriptor of the directory, of this process, whichever thread uses it. */
  readonly root: number;
  /** The same directory as its user named it. */
  readonly target: string;
  /** By inode number: files that are made under another name than their first, which cannot be made. */
  readonly renamed?: ReadonlyMap<number, PlaceInTree>;
}

/** An image's tree below a place: where each of its inodes is made, under the first of its names that can be made. */
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

  /** For other threads. Names are copied, for the buffer of all names would be sent along with one of them. */
  get place(): Place {
    const copies = [...this.#renamed].map(
      ([inode, { parent, name }]) => [inode, { parent, name: Uint8Array.from(name) }] as const,
    );
    return { root: this.#root, target: this.#target, renamed: new Map(copies) };
  }

  /** The name under which an inode is made; undefined for the root. */
  placeOf(inode: number): PlaceInTree | undefined {
    return this.#renamed.get(inode) ?? this.#tree.place(inode);
  }

  /** Notes that a file, which is no directory, was made under another name than its first. */
  rename(inode: number, place: PlaceInTree): void {
    this.#renamed.set(inode, place);
  }

  /** The path under which an inode is made, for messages: of a long one the middle is left out. */
  pathOf(inode: number): string {
    return printable(
      pathInTree(this.#target, inode, (at) => this.placeOf(at)),
      MAX_PATH_SHOWN,
    );
  }

  /** The path of any name. */
  pathOfName(parent: number, name: Uint8Array): string {
    return printable(`${this.pathOf(parent)}/${Buffer.from(name)}`, MAX_PATH_SHOWN);
  }

  close(): void {
    this.directories.close();
  }
}
