/** The entries of docs/format.md §8, byte by byte from its table, checking nothing. */
import { directoryInode, type Extent, extentList, fileInodeAlone, filler, u8, u32, u64 } from './encode.ts';
import { digest, ids } from './manifest-samples.ts';
import { nonceOf } from './seal.ts';

type Num = number | bigint;

function entry(kind: number, ...parts: readonly Buffer[]): Buffer {
  return Buffer.concat([u8(kind), ...parts]);
}

function nameBytes(name: Buffer | string): Buffer {
  const bytes = Buffer.from(name as string);
  return Buffer.concat([u8(bytes.length), bytes]);
}

export const base = (epoch: Num): Buffer => entry(1, u64(epoch));

export const barrier = entry(2);

export function object(id: Buffer, chunks: Num, digests: readonly Buffer[] = []): Buffer {
  return entry(3, id, u64(chunks), ...digests);
}

export const inodeEntry = (number: number, inode: Buffer): Buffer => entry(4, u32(number), inode);

export const gone = (inode: number): Buffer => entry(5, u32(inode));

export function nameEntry(parent: number, inode: number, name: Buffer | string): Buffer {
  return entry(6, u32(parent), u32(inode), nameBytes(name));
}

export const unname = (parent: number, name: Buffer | string): Buffer => entry(7, u32(parent), nameBytes(name));

/** @param count can be made to lie */
export function extentsEntry(inode: number, extents: readonly Extent[], count?: number): Buffer {
  return entry(8, u32(inode), extentList(extents, count));
}

export interface Run {
  inode: number;
  fileChunk: Num;
  object: number;
  objectChunk: Num;
}

/** @param count can be made to lie */
export function chunksEntry(run: Run, records: readonly Buffer[], count = records.length): Buffer {
  const { inode, fileChunk, object: number, objectChunk } = run;
  return entry(9, u32(inode), u64(fileChunk), u32(number), u64(objectChunk), u32(count), ...records);
}

export function holesEntry(inode: number, fileChunk: Num, count: Num): Buffer {
  return entry(10, u32(inode), u64(fileChunk), u64(count));
}

/** A chunk record with no hole and no flag. */
export function recordOf(label: string): Buffer {
  return Buffer.concat([nonceOf(filler(label, 12)), Buffer.alloc(4), filler(`${label} tags`, 48)]);
}

export const run: Run = { inode: 2, fileChunk: 0, object: 0, objectChunk: 0 };

/** What a new image with one file of two chunks begins with. */
export const smallFrame: readonly Buffer[] = [
  base(0),
  barrier,
  inodeEntry(1, directoryInode()),
  object(ids[0], 0),
  inodeEntry(2, fileInodeAlone(20000)),
  nameEntry(1, 2, 'pages-1.img'),
  chunksEntry(run, [recordOf('first record'), recordOf('second record')]),
];

/** An object of 65 chunks, which has two tag pages. */
export const finishedObject = object(ids[1], 65, [digest, filler('second digest', 32)]);
