import {
  directoryEntry,
  directoryInode,
  type Extent,
  fileInode,
  type ManifestParts,
  type Metadata,
  manifestPlaintext,
  objectEntry,
  PAGE,
  replaced,
  symlinkInode,
  u8,
  u16,
  u32,
  u64,
} from './encode.ts';
import { digest, extent, ids, rootOnly, small } from './manifest-samples.ts';
import { CHUNK_SIZE } from './sample.ts';
import { type ManifestPlaintextVector, type NamedVectors, pack } from './vector.ts';

function refused(description: string, message: string, input: Buffer): ManifestPlaintextVector {
  return {
    description,
    kind: 'manifest-plaintext',
    stage: 'manifest',
    chunkSize: CHUNK_SIZE,
    input: pack(input),
    expected: { code: 'damaged', message },
  };
}

function bad(description: string, message: string, change: Partial<ManifestParts>): ManifestPlaintextVector {
  return refused(description, message, manifestPlaintext({ ...small, ...change }));
}

const name = 'pages-1.img';

function badFile(description: string, message: string, size: number | bigint, extents: readonly Extent[]) {
  return bad(description, message, { inodes: [directoryInode(), fileInode(size, extents)] });
}

function badMetadata(description: string, message: string, change: Partial<Metadata>) {
  return bad(description, message, { inodes: [directoryInode(), fileInode(20000, [extent], change)] });
}

function badEntries(description: string, message: string, entries: readonly Buffer[], inodes = small.inodes) {
  return bad(description, message, { entries, inodes });
}

function badName(description: string, text: string | Buffer): ManifestPlaintextVector {
  return badEntries(description, 'name that no file can have', [directoryEntry(1, 2, text)]);
}

function badLink(description: string, target: Buffer): ManifestPlaintextVector {
  const entries = [directoryEntry(1, 3, 'link'), directoryEntry(1, 2, name)];
  return badEntries(description, 'symbolic link target', entries, [...small.inodes, symlinkInode(target)]);
}

const plain = manifestPlaintext(small);
/** The offset of the file's inode: after the head, the object, and the root's 50 bytes. */
const FILE_AT = 20 + (16 + 8 + 32) + 50;
const half = { ...extent, length: 10000 };
const twoObjects = [objectEntry(ids[0], 2, [digest]), objectEntry(ids[1], 1, [digest])];
const inSecond = { fileOffset: 20000, object: 1, objectOffset: 0, length: 1 };
const attribute = (key: string, value = Buffer.of(1)) => [key, value] as const;

/** Fields that hold more than a number of 53 bits, and counts that promise more than there is. */
const numbers: NamedVectors = {
  'epoch-2-53': refused('epoch 2^53', '2^53', replaced(plain, 0, u64(2 ** 53))),
  'epoch-all-ones': refused('epoch 2^64 - 1', '2^53', replaced(plain, 0, u64(-1))),
  'epoch-0': bad('epoch 0', 'epoch 0', { epoch: 0 }),
  'object-count-huge': refused('2^32 - 1 objects', 'counts', manifestPlaintext(small, { objects: 0xffff_ffff })),
  'inode-count-huge': refused('2^32 - 1 inodes', 'counts', manifestPlaintext(small, { inodes: 0xffff_ffff })),
  'entry-count-huge': refused('2^32 - 1 entries', 'counts', manifestPlaintext(small, { entries: 0xffff_ffff })),
  'inode-count-0': refused('no inode at all', 'root', manifestPlaintext({ ...rootOnly, inodes: [] })),
  'inode-count-low': refused('one inode less than there is', '', manifestPlaintext(small, { inodes: 1 })),
  'entry-count-low': refused('one entry less than there is', 'padded', manifestPlaintext(small, { entries: 0 })),
  'extent-count-huge': refused('2^32 - 1 extents', 'does not fit', replaced(plain, FILE_AT + 58, u32(0xffff_ffff))),
  'xattr-count-huge': refused('65535 attributes', 'does not fit', replaced(plain, FILE_AT + 48, u16(0xffff))),
  'file-size-2-53': badFile('a file of 2^53 bytes', '2^53', 2 ** 53, [extent]),
  'file-offset-2-53': badFile('an extent at 2^53', '2^53', 20000, [{ ...extent, fileOffset: 2 ** 53 }]),
  'object-offset-2-53': badFile('2^53 into the object', '2^53', 20000, [{ ...extent, objectOffset: 2 ** 53 }]),
  'extent-length-2-53': badFile('an extent of 2^53 bytes', '2^53', 20000, [{ ...extent, length: 2 ** 53 }]),
  'extent-end-overflow': badFile('an extent whose end is above 2^53', 'beyond the end', Number.MAX_SAFE_INTEGER, [
    { ...extent, fileOffset: Number.MAX_SAFE_INTEGER },
  ]),
  'atime-2-53': badMetadata('an atime of 2^53 seconds', '2^53', { atime: [2 ** 53, 0] }),
  'mtime-2-53': badMetadata('an mtime of 2^53 seconds', '2^53', { mtime: [2 ** 53, 0] }),
  'ctime-2-53': badMetadata('a ctime of 2^53 seconds', '2^53', { ctime: [2 ** 53, 0] }),
  'time-minus-2-53': badMetadata('-2^53 seconds', '2^53', { mtime: [-(2 ** 53), 0] }),
  'chunks-2-32-and-1': bad('an object of 2^32 + 1 chunks', 'chunks', {
    objects: [objectEntry(ids[0], 2 ** 32 + 1, [digest])],
  }),
  'chunks-2-53': bad('an object of 2^53 chunks', '2^53', { objects: [objectEntry(ids[0], 2 ** 53, [digest])] }),
  'chunks-0': bad('an object without chunks', 'object of 0 chunks', { objects: [objectEntry(ids[0], 0, [])] }),
  'digests-beyond-the-end': bad('an object of 2^32 chunks without their digests', 'ends early', {
    objects: [objectEntry(ids[0], 2 ** 32, [digest])],
  }),
};

const form: NamedVectors = {
  'not-whole-pages': refused('a byte after the last page', 'whole pages', Buffer.concat([plain, Buffer.of(0)])),
  empty: refused('no byte at all', 'ends early', Buffer.alloc(0)),
  zeros: refused('a page of zeros', '', Buffer.alloc(PAGE)),
  'padding-page': refused('a page of padding too many', 'padded', Buffer.concat([plain, Buffer.alloc(PAGE)])),
  'padding-first-byte': refused('the first byte of padding is 1', 'padded', paddingByte()),
  'padding-last-byte': refused('the last byte of padding is 1', 'padded', replaced(plain, plain.length - 1, u8(1))),
  'flag-open': badMetadata('a file that is open', 'flags', { flags: 1 }),
  'flag-lost': badMetadata('a file with lost contents', 'flags', { flags: 2 }),
  'flag-unknown': badMetadata('a file with an unknown flag', 'flags 4', { flags: 4 }),
  'type-0': badMetadata('an inode of type 0', 'unknown type 0', { type: 0 }),
  'type-6': badMetadata('an inode of type 6', 'unknown type 6', { type: 6 }),
  'mode-file-type': badMetadata('a mode with a file type', 'mode', { mode: 0o100644 }),
  'atime-nanoseconds': badMetadata('10^9 nanoseconds in an atime', 'nanoseconds', { atime: [0, 1_000_000_000] }),
  'mtime-nanoseconds': badMetadata('10^9 nanoseconds in an mtime', 'nanoseconds', { mtime: [0, 1_000_000_000] }),
  'ctime-nanoseconds': badMetadata('10^9 nanoseconds in a ctime', 'nanoseconds', { ctime: [0, 1_000_000_000] }),
  'xattr-security': badMetadata('an attribute security.capability', 'not kept', {
    xattrs: [attribute('security.capability')],
  }),
  'xattr-no-name': badMetadata('an attribute "user."', 'not kept', { xattrs: [attribute('user.')] }),
  'xattr-nul': badMetadata('an attribute with NUL in its name', 'not kept', { xattrs: [attribute('user.a\0b')] }),
  'xattr-order': badMetadata('attributes out of order', 'out of order', {
    xattrs: [attribute('user.b'), attribute('user.a')],
  }),
  'xattr-twice': badMetadata('an attribute twice', 'out of order', {
    xattrs: [attribute('user.a'), attribute('user.a')],
  }),
  'xattr-long': badMetadata('an attribute of 65537 bytes', '65537', {
    xattrs: [attribute('user.a', Buffer.alloc(65537))],
  }),
  'link-empty': badLink('a symbolic link to nothing', Buffer.alloc(0)),
  'link-nul': badLink('a symbolic link with a NUL', Buffer.from('a\0b')),
  'link-long': badLink('a symbolic link of 4096 bytes', Buffer.alloc(4096, 0x61)),
};

const objects: NamedVectors = {
  'objects-order': bad('objects in descending order', 'objects out of order', {
    objects: twoObjects.toReversed(),
    inodes: [directoryInode(), fileInode(20001, [{ ...extent, length: 16384 }, inSecond])],
  }),
  'object-twice': bad('an object id twice', 'objects out of order', {
    objects: [twoObjects[0], twoObjects[0]] as Buffer[],
  }),
  'object-unused': bad('an object that no file uses', 'no file uses', { objects: twoObjects }),
  'extent-beyond-file': badFile('an extent one byte longer than its file', 'beyond the end of its file', 19999, [
    extent,
  ]),
  'extent-beyond-object': badFile('an extent one byte longer than its object', 'beyond the end of its object', 40000, [
    { ...extent, length: 2 * CHUNK_SIZE + 1 },
  ]),
  'extent-of-no-object': badFile('an extent of object 1 of 1', 'does not exist', 20000, [{ ...extent, object: 1 }]),
  'extent-empty': badFile('an extent of no bytes', 'out of order', 20000, [{ ...extent, length: 0 }]),
  'extents-overlap': badFile('extents that overlap by a byte', 'out of order', 20000, [
    extent,
    { ...extent, fileOffset: 19999, length: 1 },
  ]),
  'extents-order': badFile('extents in descending order', 'out of order', 20000, [
    { ...half, fileOffset: 10000, objectOffset: 10000 },
    half,
  ]),
  'extents-one': badFile('two extents that are one', 'two extents that are one', 20000, [
    half,
    { ...half, fileOffset: 10000, objectOffset: 10000 },
  ]),
};

const tree: NamedVectors = {
  'root-file': bad('inode 1 is a file', 'root', {
    inodes: [fileInode(20000, [extent]), fileInode(0, [])],
    entries: [directoryEntry(1, 2, name)],
  }),
  'inode-without-name': badEntries('an inode that no entry names', 'without a name', []),
  'root-named': badEntries('an entry of the root', 'impossible inode', [
    directoryEntry(1, 2, name),
    directoryEntry(1, 1, 'root'),
  ]),
  'entry-of-no-inode': badEntries('an entry of inode 3 of 2', 'impossible inode', [
    directoryEntry(1, 2, name),
    directoryEntry(1, 3, 'z'),
  ]),
  'entry-of-inode-0': badEntries('an entry of inode 0', 'impossible inode', [directoryEntry(1, 0, name)]),
  'entry-in-file': badEntries('an entry in a file', 'no directory', [
    directoryEntry(1, 2, name),
    directoryEntry(2, 2, name),
  ]),
  'entry-in-inode-0': badEntries('an entry in inode 0', 'no directory', [directoryEntry(0, 2, name)]),
  'entry-in-no-inode': badEntries('an entry in inode 9', 'no directory', [directoryEntry(9, 2, name)]),
  'entries-order': badEntries('names in descending order', 'out of order', [
    directoryEntry(1, 2, 'b'),
    directoryEntry(1, 2, 'a'),
  ]),
  'entry-twice': badEntries('one name twice', 'out of order', [directoryEntry(1, 2, name), directoryEntry(1, 2, name)]),
  'parents-order': badEntries(
    'parents in descending order',
    'out of order',
    [directoryEntry(3, 2, name), directoryEntry(1, 3, 'directory')],
    [...small.inodes, directoryInode()],
  ),
  'directory-twice': badEntries(
    'a directory with two names',
    'two names',
    [directoryEntry(1, 2, 'a'), directoryEntry(1, 3, 'b'), directoryEntry(1, 3, 'c')],
    [...small.inodes, directoryInode()],
  ),
  'directory-before-parent': badEntries(
    'directories in a circle',
    'before its parent',
    [directoryEntry(1, 2, name), directoryEntry(3, 4, 'a'), directoryEntry(4, 3, 'b')],
    [...small.inodes, directoryInode(), directoryInode()],
  ),
  'name-empty': badName('an empty name', ''),
  'name-dot': badName('the name "."', '.'),
  'name-dot-dot': badName('the name ".."', '..'),
  'name-slash': badName('a name with a slash', 'a/b'),
  'name-nul': badName('a name with a NUL', 'a\0b'),
};

function paddingByte(): Buffer {
  const end = FILE_AT + 50 + 12 + 28 + 9 + name.length;
  return replaced(plain, end, u8(1));
}

export const refusedPlaintexts: NamedVectors = { ...numbers, ...form, ...objects, ...tree };
