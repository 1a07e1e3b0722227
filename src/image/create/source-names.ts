import type { PlaceInTree } from '../outside/tree-directories.ts';

/** The names of a source in memory that threads share. */
export interface SharedNames {
  readonly parents: Int32Array<SharedArrayBuffer>;
  /** For each inode, the end of its name in `names`. It begins at the end of the name before it. */
  readonly ends: Float64Array<SharedArrayBuffer>;
  readonly names: Uint8Array<SharedArrayBuffer>;
}

/** Packs the places of all inodes of a source, in the order of their indexes; the root has the parent -1. */
export function shareNames(places: readonly PlaceInTree[]): SharedNames {
  const parents = new Int32Array(new SharedArrayBuffer(4 * places.length));
  const ends = new Float64Array(new SharedArrayBuffer(8 * places.length));
  let end = 0;
  for (const [at, { parent, name }] of places.entries()) {
    parents[at] = parent;
    end += name.length;
    ends[at] = end;
  }
  const names = new Uint8Array(new SharedArrayBuffer(end));
  for (const [at, { name }] of places.entries()) names.set(name, (ends[at] ?? 0) - name.length);
  return { parents, ends, names };
}

/** Finds the place of an inode by its index; undefined for the root. */
export function placeIn({ parents, ends, names }: SharedNames, inode: number): PlaceInTree | undefined {
  const parent = parents[inode] ?? -1;
  return parent < 0 ? undefined : { parent, name: Buffer.from(names.subarray(ends[inode - 1] ?? 0, ends[inode])) };
}
