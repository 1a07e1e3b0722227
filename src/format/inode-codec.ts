import { type ByteReader, type ByteWriter, MalformedError } from '../base/bytes.ts';
import type { JournalInode } from './journal.ts';
import { type Extent, type InodeMetadata, MAX_XATTR_VALUE } from './manifest.ts';
import type { Xattr, XattrList } from './xattrs.ts';

/** Inodes and extents as manifest and journal both write them (format.md §5). */

const TYPE_FILE = 1;
const TYPE_DIRECTORY = 2;
const TYPE_SYMLINK = 3;

/** Least bytes one of each takes: what a count is held against before anything is allocated. */
export const LEAST_INODE = 26;
const LEAST_EXTENT = 28;
const LEAST_XATTR = 5;

/** All of an inode but its extents. */
export function writeInode(out: ByteWriter, inode: JournalInode): void {
  out.u8(inode.type === 'file' ? TYPE_FILE : inode.type === 'directory' ? TYPE_DIRECTORY : TYPE_SYMLINK);
  out.u8(0);
  out.u16(inode.mode);
  out.u32(inode.uid);
  out.u32(inode.gid);
  out.i64(inode.mtimeSeconds);
  out.u32(inode.mtimeNanoseconds);
  writeXattrs(out, inode.xattrs);
  if (inode.type === 'file') {
    out.u64(inode.size);
  } else if (inode.type === 'symlink') {
    out.u16(inode.target.length);
    out.bytes(inode.target);
  }
}

/** @throws MalformedError */
export function readInode(input: ByteReader): JournalInode {
  const type = input.u8();
  if (input.u8() !== 0) throw new MalformedError('inode has a reserved byte that is not zero');
  const metadata: InodeMetadata = {
    mode: input.u16(),
    uid: input.u32(),
    gid: input.u32(),
    mtimeSeconds: input.i64(),
    mtimeNanoseconds: input.u32(),
    xattrs: readXattrs(input),
  };
  switch (type) {
    case TYPE_FILE:
      return { type: 'file', ...metadata, size: input.u64() };
    case TYPE_DIRECTORY:
      return { type: 'directory', ...metadata };
    case TYPE_SYMLINK:
      return { type: 'symlink', ...metadata, target: Buffer.from(input.take(input.u16())) };
    default:
      throw new MalformedError(`inode of unknown type ${type}`);
  }
}

/** Their count and they. */
export function writeExtents(out: ByteWriter, extents: readonly Extent[]): void {
  out.u32(extents.length);
  for (const extent of extents) {
    out.u64(extent.fileOffset);
    out.u32(extent.object);
    out.u64(extent.objectOffset);
    out.u64(extent.length);
  }
}

/** @throws MalformedError */
export function readExtents(input: ByteReader): readonly Extent[] {
  return Array.from({ length: input.count32(LEAST_EXTENT) }, () => ({
    fileOffset: input.u64(),
    object: input.u32(),
    objectOffset: input.u64(),
    length: input.u64(),
  }));
}

function writeXattrs(out: ByteWriter, xattrs: XattrList): void {
  out.u16(xattrs.length);
  for (const { name, value } of xattrs) {
    out.u8(name.length);
    out.bytes(name);
    out.u32(value.length);
    out.bytes(value);
  }
}

function readXattrs(input: ByteReader): XattrList {
  const count = input.u16();
  if (count * LEAST_XATTR > input.remaining) throw new MalformedError(`count ${count} does not fit in what follows`);
  return Array.from({ length: count }, (): Xattr => {
    const name = Buffer.from(input.take(input.u8()));
    const length = input.u32();
    if (length > MAX_XATTR_VALUE) throw new MalformedError(`extended attribute of ${length} bytes`);
    return { name, value: Buffer.from(input.take(length)) };
  });
}
