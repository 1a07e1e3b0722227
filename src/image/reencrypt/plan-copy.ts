import { deriveObjectId } from '../../crypto/image-keys.ts';
import type { Secret } from '../../crypto/secret.ts';
import { primitives } from '../../crypto/select.ts';
import { Geometry } from '../../format/geometry.ts';
import type { Header } from '../../format/header.ts';
import type { Extent, Inode, Manifest } from '../../format/manifest.ts';
import { type Plan, type PlannedTree, planImage } from '../create/plan.ts';
import type { SourceInode } from '../create/source.ts';
import type { Image } from '../read/image.ts';

/**
 * Plans another image of the same tree. The same image, under the same new image key, always gets the same plan
 * (format.md §10).
 */
export function planCopy(
  image: Image,
  imageKey: Secret,
  { imageId, chunkSize }: Pick<Header, 'imageId' | 'chunkSize'>,
): Plan {
  const { inodes, entries } = image.manifest;
  const tree: PlannedTree = {
    inodes: inodes.map(sourceInode),
    entries: entries.map(({ parent, inode, name }) => ({ parent: parent - 1, inode: inode - 1, name })),
  };
  return planImage(tree, new Geometry(chunkSize), (number) =>
    deriveObjectId(primitives(), imageKey, imageId, image.manifestDigest, number),
  );
}

function sourceInode(inode: Inode): SourceInode {
  const { mode, uid, gid, atime, mtime, ctime, xattrs } = inode;
  // The name and the stamp, by which a directory is read, are not looked at.
  const base = {
    parent: -1,
    name: Buffer.alloc(0),
    stamp: '',
    metadata: { mode, uid, gid, atime, mtime, ctime, xattrs },
  };
  if (inode.type === 'file') return { type: 'file', ...base, size: inode.size, ranges: rangesOf(inode.extents) };
  if (inode.type === 'symlink') return { type: 'symlink', ...base, target: inode.target };
  return { type: inode.type, ...base };
}

/** Returns the runs of a file that extents cover. */
export function rangesOf(extents: readonly Extent[]): (readonly [start: number, end: number])[] {
  const ranges: [number, number][] = [];
  for (const { fileOffset, length } of extents) {
    const last = ranges.at(-1);
    if (last?.[1] === fileOffset) last[1] += length;
    else ranges.push([fileOffset, fileOffset + length]);
  }
  return ranges;
}

/** Tells whether a manifest has exactly the objects of a plan. */
export function hasObjectsOf(plan: Plan, { objects }: Manifest): boolean {
  return (
    objects.length === plan.objects.length &&
    plan.objects.every(({ id, chunks }, at) => objects[at]?.id.equals(id) === true && objects[at].chunks === chunks)
  );
}
