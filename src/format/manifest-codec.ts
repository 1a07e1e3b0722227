import { ByteReader, ByteWriter, MalformedError } from '../base/bytes.ts';
import { CHUNKS_PER_GROUP, MAX_CHUNKS, PAGE_SIZE } from './geometry.ts';
import {
  DIGEST_SIZE,
  type Entry,
  type Extent,
  ID_SIZE,
  type Inode,
  type InodeMetadata,
  MAX_XATTR_VALUE,
  type Manifest,
  type ObjectEntry,
} from './manifest.ts';
import { checkManifest } from './manifest-check.ts';
import type { Xattr, XattrList } from './xattrs.ts';

const TYPE_FILE = 1;
const TYPE_DIRECTORY = 2;
const TYPE_SYMLINK = 3;

/** Least bytes one of each takes: what a count is held against before anything is allocated. */
const LEAST_OBJECT = ID_SIZE + 8 + DIGEST_SIZE;
const LEAST_INODE = 26;
const LEAST_ENTRY = 10;
const LEAST_EXTENT = 28;
const LEAST_XATTR = 5;

/** The manifest's plaintext (format.md §5), padded to whole pages. @throws MalformedError when the value breaks a rule of the format */
export function encodeManifest(manifest: Manifest, chunkSize: number): Buffer {
  checkManifest(manifest, chunkSize);
  const out = new ByteWriter();
  out.u64(manifest.epoch);
  out.u32(manifest.objects.length);
  out.u32(manifest.inodes.length);
  out.u32(manifest.entries.length);
  for (const object of manifest.objects) {
    out.bytes(object.id);
    out.u64(object.chunks);
    out.bytes(object.digests);
  }
  for (const inode of manifest.inodes) writeInode(out, inode);
  for (const entry of manifest.entries) {
    out.u32(entry.parent);
    out.u32(entry.inode);
    out.u8(entry.name.length);
    out.bytes(entry.name);
  }
  out.zeros((PAGE_SIZE - (out.length % PAGE_SIZE)) % PAGE_SIZE);
  return out.finish();
}

/** The inverse of {@link encodeManifest}; accepts nothing that encodeManifest would not give. @throws MalformedError */
export function decodeManifest(plain: Uint8Array, chunkSize: number): Manifest {
  if (plain.length % PAGE_SIZE !== 0) throw new MalformedError('manifest is not whole pages');
  const input = new ByteReader(plain);
  const epoch = input.u64();
  const objectCount = input.u32();
  const inodeCount = input.u32();
  const entryCount = input.u32();
  if (objectCount * LEAST_OBJECT + inodeCount * LEAST_INODE + entryCount * LEAST_ENTRY > input.remaining) {
    throw new MalformedError('manifest counts do not fit in the manifest');
  }
  const manifest: Manifest = {
    epoch,
    objects: Array.from({ length: objectCount }, () => readObject(input)),
    inodes: Array.from({ length: inodeCount }, () => readInode(input)),
    entries: Array.from({ length: entryCount }, () => readEntry(input)),
  };
  const padding = input.take(input.remaining);
  if (padding.length >= PAGE_SIZE || padding.some((byte) => byte !== 0)) {
    throw new MalformedError('manifest is not padded with zeros to the next page');
  }
  checkManifest(manifest, chunkSize);
  return manifest;
}

function readObject(input: ByteReader): ObjectEntry {
  const id = Buffer.from(input.take(ID_SIZE));
  const chunks = input.u64();
  if (chunks < 1 || chunks > MAX_CHUNKS) throw new MalformedError(`object of ${chunks} chunks`);
  return { id, chunks, digests: Buffer.from(input.take(Math.ceil(chunks / CHUNKS_PER_GROUP) * DIGEST_SIZE)) };
}

function readEntry(input: ByteReader): Entry {
  return { parent: input.u32(), inode: input.u32(), name: Buffer.from(input.take(input.u8())) };
}

function writeInode(out: ByteWriter, inode: Inode): void {
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
    out.u32(inode.extents.length);
    for (const extent of inode.extents) {
      out.u64(extent.fileOffset);
      out.u32(extent.object);
      out.u64(extent.objectOffset);
      out.u64(extent.length);
    }
  } else if (inode.type === 'symlink') {
    out.u16(inode.target.length);
    out.bytes(inode.target);
  }
}

function readInode(input: ByteReader): Inode {
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
      return { type: 'file', ...metadata, size: input.u64(), extents: readExtents(input) };
    case TYPE_DIRECTORY:
      return { type: 'directory', ...metadata };
    case TYPE_SYMLINK:
      return { type: 'symlink', ...metadata, target: Buffer.from(input.take(input.u16())) };
    default:
      throw new MalformedError(`inode of unknown type ${type}`);
  }
}

function readExtents(input: ByteReader): readonly Extent[] {
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
