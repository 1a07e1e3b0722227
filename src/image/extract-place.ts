import { Directory } from '../base/directory.ts';
import { printable } from '../base/printable.ts';
import { MAX_PATH_SHOWN } from './losses.ts';
import type { ImageTree } from './tree.ts';
import { pathInTree, TreeDirectories } from './tree-directories.ts';

/** Where files are extracted to. */
export interface Place {
  /** Descriptor of the directory, of this process, whichever thread uses it. */
  readonly root: number;
  /** The same directory as its user named it. */
  readonly target: string;
}

/** An image's tree below a place: where each of its inodes is made, under its first name. */
export class ExtractedTree {
  readonly directories: TreeDirectories;
  readonly #tree: ImageTree;
  readonly #target: string;

  constructor(tree: ImageTree, { root, target }: Place, maxOpen?: number) {
    this.#tree = tree;
    this.#target = target;
    this.directories = new TreeDirectories(Directory.fromDescriptor(root), (inode) => tree.place(inode), {
      ...(maxOpen === undefined ? {} : { maxOpen }),
    });
  }

  /** The path of an inode's first name, for messages: of a long one the middle is left out. */
  pathOf(inode: number): string {
    return printable(
      pathInTree(this.#target, inode, (at) => this.#tree.place(at)),
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
