import { MalformedError } from '../base/bytes.ts';
import { MAX_NAME_LENGTH, MAX_TARGET_LENGTH } from '../base/names.ts';
import { chunksPerGroup, MAX_CHUNKS } from './geometry.ts';
import type { JournalInode } from './journal.ts';
import { DIGEST_SIZE, type Extent, ID_SIZE, type Inode, MAX_XATTR_VALUE, type ObjectEntry } from './manifest.ts';
import { isKeptXattr, type XattrList } from './xattrs.ts';

/**
 * Checks the rules of format.md §5 for single values, which apply to manifest and journal. All throw MalformedError.
 */

const MAX_U32 = 0xffff_ffff;
const MAX_XATTRS = 0xffff;
const NANOSECONDS = 1_000_000_000;

/** Checks everything of an inode except its extents. */
export function checkInode(inode: Inode | JournalInode): void {
  require(inode.mode >= 0 && inode.mode <= 0o7777, 'mode with unknown bits');
  require(isU32(inode.uid) && isU32(inode.gid), 'owner out of range');
  for (const { seconds, nanoseconds } of [inode.atime, inode.mtime, inode.ctime]) {
    require(isBelow(nanoseconds, NANOSECONDS), 'nanoseconds of a second or more');
    require(Number.isSafeInteger(seconds), 'time beyond 2^53 seconds');
  }
  checkXattrs(inode.xattrs);
  if (inode.type === 'file') require(Number.isSafeInteger(inode.size) && inode.size >= 0, 'file size out of range');
  if (inode.type === 'symlink') {
    const { target } = inode;
    const fits = target.length >= 1 && target.length <= MAX_TARGET_LENGTH;
    require(fits && !target.includes(0), 'symbolic link target of a length or content that cannot be');
  }
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

/** Checks that extents are in ascending order, do not overlap, are not empty, and that adjacent ones are merged. */
export function checkExtentOrder(extents: readonly Extent[]): void {
  let end = 0;
  let previous: Extent | undefined;
  for (const extent of extents) {
    require(extent.length >= 1 && extent.fileOffset >= end, 'extents out of order');
    require(previous === undefined || !continues(previous, extent), 'two extents that are one');
    end = extent.fileOffset + extent.length;
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

/** Checks an object that is finished. */
export function checkObject(object: ObjectEntry, chunkSize: number): void {
  require(object.id.length === ID_SIZE, 'object id of a wrong length');
  require(object.chunks >= 1 && object.chunks <= MAX_CHUNKS, `object of ${object.chunks} chunks`);
  const pages = Math.ceil(object.chunks / chunksPerGroup(chunkSize));
  require(object.digests.length === pages * DIGEST_SIZE, 'object with a wrong number of digests');
}

/** Checks the name of a directory entry (format.md §2). */
export function checkName(name: Uint8Array): void {
  const fits = name.length >= 1 && name.length <= MAX_NAME_LENGTH && !name.includes(0) && !name.includes(SLASH);
  const isDots = name[0] === DOT && (name.length === 1 || (name.length === 2 && name[1] === DOT));
  require(fits && !isDots, 'name that no file can have');
}

const SLASH = 0x2f;
const DOT = 0x2e;

export function isU32(value: number): boolean {
  return isBelow(value, MAX_U32 + 1);
}

function isBelow(value: number, limit: number): boolean {
  return Number.isInteger(value) && value >= 0 && value < limit;
}

/** Checks a rule of the format. @throws MalformedError when it does not hold */
export function require(holds: boolean, otherwise: string): asserts holds {
  if (!holds) throw new MalformedError(otherwise);
}
