/**
 * Writes the bytes of docs/format.md straight from its tables, checking nothing: a second implementation, so that a
 * mistake in src/format shows, and able to write what src/format refuses. Integers are little-endian.
 */
import { createHash } from 'node:crypto';

export const PAGE = 4096;

export function u8(value: number): Buffer {
  return Buffer.of(value);
}

export function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(value);
  return bytes;
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

/** A negative one in two's complement. */
export function u64(value: number | bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)));
  return bytes;
}

/** Bytes that look random and are the same at every run. */
export function filler(label: string, length: number): Buffer {
  const blocks: Buffer[] = [];
  for (let at = 0; at * 32 < length; at++) {
    blocks.push(createHash('sha256').update(`ckptfs test vectors: ${label} ${at}`).digest());
  }
  return Buffer.concat(blocks).subarray(0, length);
}

/** Appends zeros to `bytes` up to the next multiple of a page. */
export function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((PAGE - (bytes.length % PAGE)) % PAGE)]);
}

/** `bytes` with some of them replaced. */
export function replaced(bytes: Buffer, at: number, by: Buffer): Buffer {
  return Buffer.concat([bytes.subarray(0, at), by, bytes.subarray(at + by.length)]);
}

/** `bytes` with one bit flipped. */
export function flipped(bytes: Buffer, at: number, bit = 0): Buffer {
  return replaced(bytes, at, Buffer.of(bytes.readUInt8(at) ^ (1 << bit)));
}

/** Codes on disk (format.md §7). */
export const cipherCodes = {
  none: 0,
  'aes-256-xts': 1,
  'aes-128-xts': 2,
  'chacha20-poly1305': 3,
  'aes-256-gcm': 4,
} as const;
export type Cipher = keyof typeof cipherCodes;
export const ciphers = Object.keys(cipherCodes) as Cipher[];

/** format.md §6, header page. */
export function objectHeader(cipher: Cipher, chunkSize: number, imageId: Buffer, objectId: Buffer): Buffer {
  const magic = Buffer.from('ckptobj1');
  const geometry = [u32(1), u8(cipherCodes[cipher]), u8(Math.log2(chunkSize)), u16(0)];
  return padded(Buffer.concat([magic, ...geometry, imageId, objectId]));
}

export type Time = readonly [seconds: number | bigint, nanoseconds: number];

export interface Metadata {
  type: number;
  flags: number;
  mode: number;
  uid: number;
  gid: number;
  /** Times are seconds and nanoseconds. */
  atime: Time;
  mtime: Time;
  ctime: Time;
  xattrs: readonly (readonly [name: string, value: Buffer])[];
}

export interface Extent {
  fileOffset: number | bigint;
  object: number;
  objectOffset: number | bigint;
  length: number | bigint;
}

const ordinary: Metadata = {
  type: 1,
  flags: 0,
  mode: 0o644,
  uid: 1000,
  gid: 100,
  atime: [1_700_000_001, 234_567_891],
  mtime: [1_700_000_000, 123_456_789],
  ctime: [1_700_000_002, 345_678_912],
  xattrs: [],
};

function inode(metadata: Metadata): Buffer {
  const { type, flags, mode, uid, gid, atime, mtime, ctime, xattrs } = metadata;
  const times = [atime, mtime, ctime].flatMap(([seconds, nanoseconds]) => [u64(seconds), u32(nanoseconds)]);
  const numbers = [u8(type), u8(flags), u16(mode), u32(uid), u32(gid), ...times];
  const attributes = xattrs.flatMap(([name, value]) => {
    const bytes = Buffer.from(name, 'latin1');
    return [u8(bytes.length), bytes, u32(value.length), value];
  });
  return Buffer.concat([...numbers, u16(xattrs.length), ...attributes]);
}

/** Encodes an inode without its extents, as a journal holds it. */
export function fileInodeAlone(size: number | bigint, change: Partial<Metadata> = {}): Buffer {
  return Buffer.concat([inode({ ...ordinary, ...change }), u64(size)]);
}

export function fileInode(size: number | bigint, extents: readonly Extent[], change: Partial<Metadata> = {}): Buffer {
  return Buffer.concat([fileInodeAlone(size, change), extentList(extents)]);
}

/** @param count can be made to lie */
export function extentList(extents: readonly Extent[], count = extents.length): Buffer {
  const list = extents.flatMap((e) => [u64(e.fileOffset), u32(e.object), u64(e.objectOffset), u64(e.length)]);
  return Buffer.concat([u32(count), ...list]);
}

export function directoryInode(change: Partial<Metadata> = {}): Buffer {
  return inode({ ...ordinary, type: 2, mode: 0o755, ...change });
}

export function symlinkInode(target: Buffer, change: Partial<Metadata> = {}): Buffer {
  return Buffer.concat([inode({ ...ordinary, type: 3, mode: 0o777, ...change }), u16(target.length), target]);
}

export function fifoInode(change: Partial<Metadata> = {}): Buffer {
  return inode({ ...ordinary, type: 4, ...change });
}

export function socketInode(change: Partial<Metadata> = {}): Buffer {
  return inode({ ...ordinary, type: 5, mode: 0o755, ...change });
}

export function objectEntry(id: Buffer, chunks: number | bigint, digests: readonly Buffer[]): Buffer {
  return Buffer.concat([id, u64(chunks), ...digests]);
}

export function directoryEntry(parent: number, number: number, name: Buffer | string): Buffer {
  const bytes = Buffer.from(name as string);
  return Buffer.concat([u32(parent), u32(number), u8(bytes.length), bytes]);
}

export interface ManifestParts {
  epoch: number | bigint;
  objects: readonly Buffer[];
  inodes: readonly Buffer[];
  entries: readonly Buffer[];
}

/** format.md §5, plaintext; counts can be made to lie. */
export function manifestPlaintext(
  { epoch, objects, inodes, entries }: ManifestParts,
  counts: { readonly objects?: number; readonly inodes?: number; readonly entries?: number } = {},
): Buffer {
  const head = [
    u64(epoch),
    u32(counts.objects ?? objects.length),
    u32(counts.inodes ?? inodes.length),
    u32(counts.entries ?? entries.length),
  ];
  return padded(Buffer.concat([...head, ...objects, ...inodes, ...entries]));
}
