import { invariant } from '../../../base/assert.ts';
import { type Entry, type Extent, type Manifest, ROOT_INODE } from '../../../format/manifest.ts';
import type { FileChunks } from '../model/file-chunks.ts';
import { manifestInode } from '../model/inode-entry.ts';
import type { LiveInode } from '../model/live-inode.ts';
import type { LiveState } from '../model/live-tree.ts';

/** Makes the manifest of a state, which must be whole (W18). Inodes without a name are left out. */
export function manifestOf({ epoch, tree, objects }: LiveState, chunks: FileChunks): Manifest {
  const numbers = new Map<number, number>();
  const named: LiveInode[] = [];
  const numberOf = (inode: LiveInode): number => {
    const known = numbers.get(inode.number);
    if (known !== undefined) return known;
    numbers.set(inode.number, named.push(inode));
    return named.length;
  };
  numbers.set(ROOT_INODE, named.push(tree.root));
  const entries: Entry[] = [];
  tree.walk((directory, key, inode) => {
    entries.push({ parent: numberOf(directory), inode: numberOf(inode), name: Buffer.from(key, 'latin1') });
  });
  entries.sort((a, b) => a.parent - b.parent || a.name.compare(b.name));

  for (const inode of named) {
    if (inode.type === 'file') invariant(!inode.lost && inode.dirty === undefined, 'W18', { inode: inode.number });
  }
  const extents = named.map((inode) => (inode.type === 'file' ? [...chunks.extents(inode)] : []));
  const used = new Set(extents.flatMap((list) => list.map(({ object }) => object)));
  const kept = [...used].sort((a, b) => objects.at(a).id.compare(objects.at(b).id));
  const places = new Map(kept.map((index, place) => [index, place]));
  const renumbered = (extent: Extent): Extent => ({ ...extent, object: places.get(extent.object) as number });
  return {
    epoch: epoch + 1,
    objects: kept.map((index) => {
      const { id, chunks: count, digests, growing } = objects.at(index);
      invariant(growing === undefined, 'W18', { object: index });
      return { id, chunks: count, digests };
    }),
    inodes: named.map((inode, index) => manifestInode(inode, (extents[index] as Extent[]).map(renumbered))),
    entries,
  };
}
