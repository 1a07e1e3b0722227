import {
  directoryInode,
  type Extent,
  fifoInode,
  fileInodeAlone,
  type Metadata,
  replaced,
  socketInode,
  symlinkInode,
  u8,
  u32,
  u64,
} from './encode.ts';
import {
  barrier,
  base,
  chunksEntry,
  extentsEntry,
  gone,
  holesEntry,
  inodeEntry,
  nameEntry,
  object,
  type Run,
  recordOf,
  run,
  smallFrame,
  unname,
} from './journal-entries.ts';
import { digest, extent, ids } from './manifest-samples.ts';
import { type JournalEntriesVector, type NamedVectors, pack } from './vector.ts';

function refused(description: string, message: string, ...entries: readonly Buffer[]): JournalEntriesVector {
  const input = pack(Buffer.concat(entries));
  return { description, kind: 'journal-entries', stage: 'journal', input, expected: { code: 'damaged', message } };
}

function badInode(description: string, message: string, change: Partial<Metadata>): JournalEntriesVector {
  return refused(description, message, inodeEntry(2, fileInodeAlone(5, change)));
}

function badExtents(description: string, message: string, extents: readonly Extent[]): JournalEntriesVector {
  return refused(description, message, extentsEntry(2, extents));
}

function badRun(description: string, message: string, change: Partial<Run>): JournalEntriesVector {
  return refused(description, message, chunksEntry({ ...run, ...change }, [recordOf('one'), recordOf('two')]));
}

function badName(description: string, name: Buffer | string): NamedVectors {
  const message = 'name that no file can have';
  const key = description.replaceAll(' ', '-');
  return {
    [`name-${key}`]: refused(description, message, nameEntry(1, 2, name)),
    [`unname-${key}`]: refused(`${description}, to be taken out`, message, unname(1, name)),
  };
}

const MAX = Number.MAX_SAFE_INTEGER;
const small = Buffer.concat(smallFrame);
const records = chunksEntry(run, [recordOf('one')]);

const form: NamedVectors = {
  empty: refused('no entry', 'frame of 0 bytes'),
  'kind-0': refused('an entry of kind 0', 'unknown kind 0', u8(0)),
  'kind-11': refused('an entry of kind 11', 'unknown kind 11', u8(11)),
  'kind-255': refused('an entry of kind 255 after good ones', 'unknown kind 255', small, u8(255)),
  'cut-by-a-byte': refused('the last byte is missing', 'does not fit', small.subarray(0, -1)),
  'cut-behind-a-kind': refused('nothing after the kind of the last entry', 'ends early', small, u8(5)),
  'trailing-zero': refused('a byte of zero after the last entry', 'unknown kind 0', small, u8(0)),
  'base-second': refused('base after another entry', 'base that is not the first', gone(2), base(1)),
  'base-twice': refused('base twice', 'base that is not the first', base(1), base(1)),
  'barrier-second': refused('a barrier after another entry', 'barrier after other entries', gone(2), barrier),
  'barrier-third': refused('a barrier not right after base', 'barrier after other entries', base(1), gone(2), barrier),
  'barrier-twice': refused(
    'a barrier after base and a barrier',
    'barrier after other entries',
    base(1),
    barrier,
    barrier,
  ),
  'epoch-2-53': refused('epoch 2^53', '2^53', base(2 ** 53)),
};

const objects: NamedVectors = {
  'object-begun-with-digest': refused(
    'a digest after an object begun now',
    'unknown kind',
    object(ids[0], 0, [digest]),
  ),
  'object-digest-missing': refused('an object of 65 chunks and one digest', 'ends early', object(ids[0], 65, [digest])),
  'object-chunks-2-32-and-1': refused('2^32 + 1 chunks', 'object of 4294967297 chunks', object(ids[0], 2 ** 32 + 1)),
  'object-chunks-2-53': refused('2^53 chunks', '2^53', object(ids[0], 2 ** 53)),
  'object-digests-huge': refused('2^32 chunks without their digests', 'ends early', object(ids[0], 2 ** 32)),
};

const inodes: NamedVectors = {
  'inode-0': refused('inode 0', 'inode 0', inodeEntry(0, directoryInode())),
  'root-file': refused('a root that is a file', 'root that is no directory', inodeEntry(1, fileInodeAlone(0))),
  'inode-flag-unknown': badInode('an unknown flag', 'flags 4', { flags: 4 }),
  'inode-flag-unknown-too': badInode('an unknown flag beside a known one', 'flags 129', { flags: 129 }),
  'directory-flag': refused('a directory that is open', 'flags 1', inodeEntry(2, directoryInode({ flags: 1 }))),
  'link-flag': refused('a link that is open', 'flags 1', inodeEntry(2, symlinkInode(u8(97), { flags: 1 }))),
  'fifo-flag': refused('a FIFO with lost contents', 'flags 2', inodeEntry(2, fifoInode({ flags: 2 }))),
  'socket-flag': refused('a socket that is open', 'flags 1', inodeEntry(2, socketInode({ flags: 1 }))),
  'inode-type-0': badInode('type 0', 'unknown type 0', { type: 0 }),
  'inode-type-6': badInode('type 6', 'unknown type 6', { type: 6 }),
  'inode-mode': badInode('a mode with the bits of a type', 'mode', { mode: 0o100644 }),
  'inode-atime-nanoseconds': badInode('10^9 nanoseconds', 'nanoseconds', { atime: [0, 1_000_000_000] }),
  'inode-mtime-nanoseconds': badInode('10^9 nanoseconds', 'nanoseconds', { mtime: [0, 1_000_000_000] }),
  'inode-ctime-nanoseconds': badInode('10^9 nanoseconds', 'nanoseconds', { ctime: [0, 1_000_000_000] }),
  'inode-atime-2-53': badInode('2^53 seconds', '2^53', { atime: [2 ** 53, 0] }),
  'inode-mtime-2-53': badInode('2^53 seconds', '2^53', { mtime: [2 ** 53, 0] }),
  'inode-ctime-2-53': badInode('2^53 seconds', '2^53', { ctime: [2 ** 53, 0] }),
  'inode-xattr-foreign': badInode('an attribute that is not kept', 'not kept', { xattrs: [['trusted.a', u8(1)]] }),
  'inode-xattr-order': badInode('attributes out of order', 'out of order', {
    xattrs: [
      ['user.b', u8(1)],
      ['user.a', u8(1)],
    ],
  }),
  'inode-size-2-53': refused('a file of 2^53 bytes', '2^53', inodeEntry(2, fileInodeAlone(2 ** 53))),
  'inode-link-empty': refused('a link without a target', 'link target', inodeEntry(2, symlinkInode(Buffer.alloc(0)))),
  'inode-link-nul': refused('a NUL in a target', 'link target', inodeEntry(2, symlinkInode(Buffer.alloc(1)))),
  'gone-0': refused('inode 0 is gone', 'inode 0', gone(0)),
  'gone-root': refused('the root is gone', 'root that is gone', gone(1)),
};

const names: NamedVectors = {
  'name-of-root': refused('a name of the root', 'name of the root', nameEntry(1, 1, 'a')),
  'name-of-inode-0': refused('a name of inode 0', 'inode 0', nameEntry(1, 0, 'a')),
  'name-in-inode-0': refused('a name in inode 0', 'inode 0', nameEntry(0, 2, 'a')),
  'unname-in-inode-0': refused('a name taken out of inode 0', 'inode 0', unname(0, 'a')),
  ...badName('empty', ''),
  ...badName('dot', '.'),
  ...badName('dot dot', '..'),
  ...badName('slash', 'a/b'),
  ...badName('nul', 'a\0'),
};

const contents: NamedVectors = {
  'extents-none': badExtents('no extent', 'empty extent list', []),
  'extents-inode-0': refused('extents of inode 0', 'inode 0', extentsEntry(0, [extent])),
  'extents-count-huge': refused('2^32 - 1 extents', 'does not fit', extentsEntry(2, [extent], 0xffff_ffff)),
  'extent-empty': badExtents('an extent of no byte', 'out of order', [{ ...extent, length: 0 }]),
  'extents-overlap': badExtents('extents that overlap', 'out of order', [extent, { ...extent, fileOffset: 19999 }]),
  'extents-one': badExtents('two extents that are one', 'that are one', [
    { ...extent, length: 100 },
    { ...extent, fileOffset: 100, objectOffset: 100 },
  ]),
  'extent-file-end': badExtents('an extent whose end is 2^53', 'extent out of range', [{ ...extent, fileOffset: MAX }]),
  'extent-object-end': badExtents('an end of 2^53 in the object', 'extent out of range', [
    { ...extent, objectOffset: MAX },
  ]),
  'chunks-none': refused('no record', 'run of no chunks', chunksEntry(run, [])),
  'chunks-inode-0': badRun('chunks of inode 0', 'inode 0', { inode: 0 }),
  'chunks-count-huge': refused('2^32 - 1 records', 'does not fit', chunksEntry(run, [recordOf('one')], 0xffff_ffff)),
  'chunks-count-low': refused('a record more than counted', '', chunksEntry(run, [recordOf('one'), u8(0)], 1)),
  'chunks-flag': refused('a record with a flag', 'no writer makes', replaced(records, records.length - 50, u8(1))),
  'chunks-hole-beyond': refused(
    'a record with a hole past the last sector',
    'no writer makes',
    replaced(records, records.length - 52, u8(0x10)),
  ),
  'chunks-nonce-sector': refused(
    'a record with a bit of a sector in its nonce',
    'no writer makes',
    replaced(records, records.length - 53, u8(1)),
  ),
  'chunks-file-end': badRun('file chunks to 2^53', 'out of range', { fileChunk: MAX - 1 }),
  'chunks-file-2-53': badRun('file chunk 2^53', '2^53', { fileChunk: 2 ** 53 }),
  'chunks-object-end': badRun('chunks to 2^32 + 1', 'beyond the most', { objectChunk: 2 ** 32 - 1 }),
  'holes-none': refused('no hole', 'run of no chunks', holesEntry(2, 0, 0)),
  'holes-inode-0': refused('holes of inode 0', 'inode 0', holesEntry(0, 0, 1)),
  'holes-end': refused('holes to 2^53', 'out of range', holesEntry(2, 1, MAX)),
  'holes-count-2-53': refused('2^53 holes', '2^53', Buffer.concat([u8(10), u32(2), u64(0), u64(2 ** 53)])),
};

export const refusedEntries: NamedVectors = { ...form, ...objects, ...inodes, ...names, ...contents };
