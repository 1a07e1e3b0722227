import { MalformedError } from '../base/bytes.ts';
import { CHUNKS_PER_GROUP, MAX_CHUNKS } from './geometry.ts';
import {
  DIGEST_SIZE,
  type Extent,
  type FileInode,
  ID_SIZE,
  type Inode,
  MAX_NAME_LENGTH,
  MAX_TARGET_LENGTH,
  MAX_XATTR_VALUE,
  type Manifest,
  type ObjectEntry,
  ROOT_INODE,
} from './manifest.ts';
import { isKeptXattr, type XattrList } from './xattrs.ts';

const MAX_U32 = 0xffff_ffff;
const MAX_XATTRS = 0xffff;
const NANOSECONDS = 1_000_000_000;

/** Holds a manifest against every rule of format.md §5 that goes beyond the shape of single values. @throws MalformedError */
export function checkManifest(manifest: Manifest, chunkSize: number): void {
  require(manifest.epoch >= 1, 'epoch 0');
  checkObjects(manifest.objects);
  const used = new Uint8Array(manifest.objects.length);
  for (const inode of manifest.inodes) {
    checkMetadata(inode);
    if (inode.type === 'file') checkExtents(inode, manifest.objects, chunkSize, used);
    if (inode.type === 'symlink') {
      const { target } = inode;
      const fits = target.length >= 1 && target.length <= MAX_TARGET_LENGTH;
      require(fits && !target.includes(0), 'symbolic link target of a length or content that cannot be');
    }
  }
  require(!used.includes(0), 'object that no file uses');
  checkEntries(manifest);
}

function checkObjects(objects: readonly ObjectEntry[]): void {
  let previous: ObjectEntry | undefined;
  for (const object of objects) {
    require(object.id.length === ID_SIZE, 'object id of a wrong length');
    require(previous === undefined || previous.id.compare(object.id) < 0, 'objects out of order');
    require(object.chunks >= 1 && object.chunks <= MAX_CHUNKS, `object of ${object.chunks} chunks`);
    const pages = Math.ceil(object.chunks / CHUNKS_PER_GROUP);
    require(object.digests.length === pages * DIGEST_SIZE, 'object with a wrong number of digests');
    previous = object;
  }
}

function checkMetadata(inode: Inode): void {
  require(inode.mode >= 0 && inode.mode <= 0o7777, 'mode with unknown bits');
  require(isU32(inode.uid) && isU32(inode.gid), 'owner out of range');
  require(isBelow(inode.mtimeNanoseconds, NANOSECONDS), 'nanoseconds of a second or more');
  require(Number.isSafeInteger(inode.mtimeSeconds), 'time beyond 2^53 seconds');
  checkXattrs(inode.xattrs);
}

function checkXattrs(xattrs: XattrList): void {
  require(xattrs.length <= MAX_XATTRS, 'too many extended attributes');
  let previous: Buffer | undefined;
  for (const { name, value } of xattrs) {
    require(isKeptXattr(name), 'extended attribute of a name that is not kept');
    require(previous === undefined || previous.compare(name) < 0, 'extended attributes out of order');
    require(value.length <= MAX_XATTR_VALUE, 'extended attribute too long');
    previous = name;
  }
}

function checkExtents(file: FileInode, objects: readonly ObjectEntry[], chunkSize: number, used: Uint8Array): void {
  require(Number.isSafeInteger(file.size) && file.size >= 0, 'file size out of range');
  let end = 0;
  let previous: Extent | undefined;
  for (const extent of file.extents) {
    require(extent.length >= 1 && extent.fileOffset >= end, 'extents out of order');
    end = extent.fileOffset + extent.length;
    require(end <= file.size, 'extent beyond the end of its file');
    const object = objects[extent.object];
    if (object === undefined) throw new MalformedError('extent of an object that does not exist');
    const objectEnd = extent.objectOffset + extent.length;
    require(extent.objectOffset >= 0 && objectEnd <= object.chunks * chunkSize, 'extent beyond the end of its object');
    require(previous === undefined || !continues(previous, extent), 'two extents that are one');
    used[extent.object] = 1;
    previous = extent;
  }
}

function continues(first: Extent, second: Extent): boolean {
  return (
    first.object === second.object &&
    first.fileOffset + first.length === second.fileOffset &&
    first.objectOffset + first.length === second.objectOffset
  );
}

function checkEntries({ inodes, entries }: Manifest): void {
  require(inodes[ROOT_INODE - 1]?.type === 'directory', 'no root directory');
  const links = new Uint32Array(inodes.length + 1);
  let parent = 0;
  let name: Buffer = Buffer.alloc(0);
  for (const entry of entries) {
    require(entry.parent > parent || (entry.parent === parent && name.compare(entry.name) < 0), 'entries out of order');
    ({ parent, name } = entry);
    require(inodes[parent - 1]?.type === 'directory', 'entry in what is no directory');
    require(isName(name), 'name that no file can have');
    const inode = inodes[entry.inode - 1];
    if (inode === undefined || entry.inode === ROOT_INODE) throw new MalformedError('entry of an impossible inode');
    const count = (links[entry.inode] ?? 0) + 1;
    links[entry.inode] = count;
    if (inode.type === 'directory') {
      require(count === 1, 'directory with two names');
      require(entry.inode > parent, 'directory numbered before its parent');
    }
  }
  for (let inode = ROOT_INODE + 1; inode <= inodes.length; inode++) require(links[inode] !== 0, 'inode without a name');
}

/** Whether a directory entry can have this name (format.md §2). */
function isName(name: Uint8Array): boolean {
  if (name.length < 1 || name.length > MAX_NAME_LENGTH || name.includes(0) || name.includes(SLASH)) return false;
  return !(name[0] === DOT && (name.length === 1 || (name.length === 2 && name[1] === DOT)));
}

const SLASH = 0x2f;
const DOT = 0x2e;

function isU32(value: number): boolean {
  return isBelow(value, MAX_U32 + 1);
}

function isBelow(value: number, limit: number): boolean {
  return Number.isInteger(value) && value >= 0 && value < limit;
}

function require(holds: boolean, otherwise: string): asserts holds {
  if (!holds) throw new MalformedError(otherwise);
}
