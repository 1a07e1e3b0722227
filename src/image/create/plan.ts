import { firstNotBelow } from '../../base/search.ts';
import { randomBytes } from '../../crypto/system-random.ts';
import { type Geometry, SECTOR_SIZE } from '../../format/geometry.ts';
import { type Entry, type Extent, ID_SIZE, type Inode, type Manifest } from '../../format/manifest.ts';
import type { SourceFile, SourceTree } from './source.ts';

/** Files of fewer bytes share an object. The format would allow any other number. */
export const SMALL_FILE = 65536;

/** An object, and the bytes of files that it is made of: its segments fill the data space one after another. */
interface PlannedObject {
  readonly id: Buffer;
  readonly chunks: number;
  readonly segments: readonly Segment[];
}

export interface Segment {
  /** Index of the file among the source's inodes. */
  readonly inode: number;
  /** The stamp of the file at the scan. */
  readonly stamp: string;
  readonly fileOffset: number;
  readonly objectOffset: number;
  readonly length: number;
}

/** The image that a tree will become. It is made before any byte of a file is read. */
export interface Plan {
  /** In ascending order of id. */
  readonly objects: readonly PlannedObject[];
  readonly inodes: readonly Inode[];
  readonly entries: readonly Entry[];
  /** Bytes to be read and encrypted. */
  readonly totalBytes: number;
}

export type PlannedTree = Pick<SourceTree, 'inodes' | 'entries'>;

/**
 * Gives each big file an object of its own, and all small files one together.
 * @param makeId makes the id of an object from its number; the same tree always gets the same numbers
 */
export function planImage(
  tree: PlannedTree,
  geometry: Geometry,
  makeId: (number: number) => Buffer = () => randomBytes(ID_SIZE),
): Plan {
  const objects = layOut(tree, geometry, makeId);
  objects.sort((a, b) => a.id.compare(b.id));
  const extents = new Map<number, Extent[]>();
  for (const [object, { segments }] of objects.entries()) {
    for (const { inode, fileOffset, objectOffset, length } of segments) {
      const list = extents.get(inode) ?? [];
      list.push({ fileOffset, object, objectOffset, length });
      extents.set(inode, list);
    }
  }
  const inodes = tree.inodes.map((inode, at): Inode => {
    const { type, metadata } = inode;
    if (type === 'file') return { type, ...metadata, size: inode.size, extents: extents.get(at) ?? [] };
    if (type === 'symlink') return { type, ...metadata, target: inode.target };
    return { type, ...metadata };
  });
  const entries = tree.entries.map(({ parent, inode, name }) => ({ parent: parent + 1, inode: inode + 1, name }));
  entries.sort((a, b) => a.parent - b.parent || a.name.compare(b.name));
  const totalBytes = objects.flatMap((object) => object.segments).reduce((sum, segment) => sum + segment.length, 0);
  return { objects, inodes, entries, totalBytes };
}

/**
 * Returns the manifest of a plan.
 * @param digests of the tag pages of each object, in the order of the objects
 */
export function manifestOf({ objects, inodes, entries }: Plan, digests: readonly Buffer[], epoch = 1): Manifest {
  return {
    epoch,
    objects: objects.map(({ id, chunks }, at) => ({ id, chunks, digests: digests[at] as Buffer })),
    inodes,
    entries,
  };
}

function layOut(tree: PlannedTree, geometry: Geometry, makeId: (number: number) => Buffer): PlannedObject[] {
  const files: IndexedFile[] = [];
  for (const [inode, file] of tree.inodes.entries()) {
    if (file.type === 'file' && file.ranges.length > 0) files.push({ inode, file });
  }
  const big = files.filter(({ file }) => file.size >= SMALL_FILE).map((file) => [file]);
  const small = files.filter(({ file }) => file.size < SMALL_FILE);
  return [...big, ...(small.length > 0 ? [small] : [])].map((group, number) => {
    const segments = segmentsOf(group);
    const last = segments.at(-1) as Segment;
    return { id: makeId(number), chunks: geometry.chunksFor(last.objectOffset + last.length), segments };
  });
}

interface IndexedFile {
  readonly inode: number;
  readonly file: SourceFile;
}

function segmentsOf(files: readonly IndexedFile[]): Segment[] {
  const segments: Segment[] = [];
  let end = 0;
  for (const { inode, file } of files) {
    const { stamp, ranges } = file;
    for (const [start, stop] of ranges) {
      segments.push({ inode, stamp, fileOffset: start, objectOffset: end, length: stop - start });
      end += stop - start;
    }
  }
  return segments;
}

/** Returns the parts of segments that are in one group. Their `objectOffset` is counted from its first byte. */
export function segmentsInGroup(object: PlannedObject, group: number, geometry: Geometry): Segment[] {
  const start = group * geometry.groupSize;
  const end = start + geometry.groupSize;
  const parts: Segment[] = [];
  for (let at = firstNotBelow(object.segments, start, endsBy); at < object.segments.length; at++) {
    const { inode, stamp, fileOffset, objectOffset, length } = object.segments[at] as Segment;
    if (objectOffset >= end) break;
    const skip = Math.max(0, start - objectOffset);
    const stop = Math.min(end, objectOffset + length);
    parts.push({
      inode,
      stamp,
      fileOffset: fileOffset + skip,
      objectOffset: objectOffset + skip - start,
      length: stop - objectOffset - skip,
    });
  }
  return parts;
}

function endsBy({ objectOffset, length }: Segment, offset: number): boolean {
  return objectOffset + length <= offset;
}

/** Returns the number of sectors that `dataLength` bytes at the start of a chunk take. */
export function usedSectors(dataLength: number): number {
  return Math.ceil(Math.max(0, dataLength) / SECTOR_SIZE);
}
