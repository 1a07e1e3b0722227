import { type ByteReader, type ByteWriter, MalformedError } from '../base/bytes.ts';
import type { Time } from '../base/time.ts';
import type { JournalInode } from './journal.ts';
import { type Extent, type Inode, type InodeMetadata, MAX_XATTR_VALUE } from './manifest.ts';
import type { Xattr, XattrList } from './xattrs.ts';

/** Encodes inodes and extents, in the form that manifest and journal share (format.md §5). */

const codes = { file: 1, directory: 2, symlink: 3, fifo: 4, socket: 5 } as const satisfies Readonly<
  Record<Inode['type'], number>
>;
/** Flags of a regular file in the journal (format.md §8). */
const FLAG_OPEN = 1 << 0;
const FLAG_LOST = 1 << 1;

/** The least bytes that one of each takes, to check a count before anything is allocated for it. */
export const MIN_INODE_BYTES = 50;
const MIN_EXTENT_BYTES = 28;
const MIN_XATTR_BYTES = 5;

/** Writes all of an inode except its extents. */
export function writeInode(out: ByteWriter, inode: JournalInode): void {
  out.u8(codes[inode.type]);
  out.u8(inode.type === 'file' ? (inode.open ? FLAG_OPEN : 0) | (inode.lost ? FLAG_LOST : 0) : 0);
  out.u16(inode.mode);
  out.u32(inode.uid);
  out.u32(inode.gid);
  for (const time of [inode.atime, inode.mtime, inode.ctime]) {
    out.i64(time.seconds);
    out.u32(time.nanoseconds);
  }
  writeXattrs(out, inode.xattrs);
  if (inode.type === 'file') {
    out.u64(inode.size);
  } else if (inode.type === 'symlink') {
    out.u16(inode.target.length);
    out.bytes(inode.target);
  }
}

/** Reads what {@link writeInode} writes. @throws MalformedError */
export function readInode(input: ByteReader): JournalInode {
  const type = input.u8();
  const flags = input.u8();
  const known = type === codes.file ? FLAG_OPEN | FLAG_LOST : 0;
  if ((flags & ~known) !== 0) throw new MalformedError(`inode of type ${type} with flags ${flags}`);
  const metadata: InodeMetadata = {
    mode: input.u16(),
    uid: input.u32(),
    gid: input.u32(),
    atime: readTime(input),
    mtime: readTime(input),
    ctime: readTime(input),
    xattrs: readXattrs(input),
  };
  switch (type) {
    case codes.file: {
      const [open, lost] = [(flags & FLAG_OPEN) !== 0, (flags & FLAG_LOST) !== 0];
      return { type: 'file', ...metadata, open, lost, size: input.u64() };
    }
    case codes.directory:
      return { type: 'directory', ...metadata };
    case codes.fifo:
      return { type: 'fifo', ...metadata };
    case codes.socket:
      return { type: 'socket', ...metadata };
    case codes.symlink:
      return { type: 'symlink', ...metadata, target: Buffer.from(input.take(input.u16())) };
    default:
      throw new MalformedError(`inode of unknown type ${type}`);
  }
}

function readTime(input: ByteReader): Time {
  return { seconds: input.i64(), nanoseconds: input.u32() };
}

/** Writes the number of extents, then each extent. */
export function writeExtents(out: ByteWriter, extents: readonly Extent[]): void {
  out.u32(extents.length);
  for (const extent of extents) {
    out.u64(extent.fileOffset);
    out.u32(extent.object);
    out.u64(extent.objectOffset);
    out.u64(extent.length);
  }
}

/** Reads what {@link writeExtents} writes. @throws MalformedError */
export function readExtents(input: ByteReader): readonly Extent[] {
  return Array.from({ length: input.count32(MIN_EXTENT_BYTES) }, () => ({
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
  if (count * MIN_XATTR_BYTES > input.remaining)
    throw new MalformedError(`count ${count} does not fit in what follows`);
  return Array.from({ length: count }, (): Xattr => {
    const name = Buffer.from(input.take(input.u8()));
    const length = input.u32();
    if (length > MAX_XATTR_VALUE) throw new MalformedError(`extended attribute of ${length} bytes`);
    return { name, value: Buffer.from(input.take(length)) };
  });
}
