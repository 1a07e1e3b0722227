import { directoryInode, fifoInode, fileInodeAlone, filler, socketInode, symlinkInode } from './encode.ts';
import {
  barrier,
  base,
  chunksEntry,
  extentsEntry,
  finishedObject,
  gone,
  holesEntry,
  inodeEntry,
  nameEntry,
  object,
  recordOf,
  run,
  smallFrame,
  unname,
} from './journal-entries.ts';
import { digest, extent, ids } from './manifest-samples.ts';
import { type JournalEntriesVector, type NamedVectors, pack } from './vector.ts';

const hex = (text: string): string => Buffer.from(text).toString('hex');
const [first, second] = ids.map((id) => id.toString('hex'));
/** What `encode.ts` gives an inode of which nothing else is said. */
const usual = {
  mode: 0o644,
  uid: 1000,
  gid: 100,
  atime: { seconds: 1_700_000_001, nanoseconds: 234_567_891 },
  mtime: { seconds: 1_700_000_000, nanoseconds: 123_456_789 },
  ctime: { seconds: 1_700_000_002, nanoseconds: 345_678_912 },
  xattrs: [],
};
const closed = { open: false, lost: false };
const directory = { type: 'directory', ...usual, mode: 0o755 };
const MAX = Number.MAX_SAFE_INTEGER;

function accepted(
  description: string,
  input: readonly Buffer[],
  entries: readonly Readonly<Record<string, unknown>>[],
): JournalEntriesVector {
  return {
    description,
    kind: 'journal-entries',
    stage: 'ok',
    input: pack(Buffer.concat(input)),
    expected: { entries },
  };
}

export const acceptedEntries: NamedVectors = {
  small: accepted('a new image with one file', smallFrame, [
    { kind: 'base', epoch: 0 },
    { kind: 'barrier' },
    { kind: 'inode', inode: 1, value: directory },
    { kind: 'object', id: first, chunks: 0, digests: '' },
    { kind: 'inode', inode: 2, value: { type: 'file', ...usual, ...closed, size: 20000 } },
    { kind: 'name', parent: 1, inode: 2, name: hex('pages-1.img') },
    {
      kind: 'chunks',
      inode: 2,
      fileChunk: 0,
      object: 0,
      objectChunk: 0,
      records: Buffer.concat([recordOf('first record'), recordOf('second record')]).toString('hex'),
    },
  ]),
  'barrier-alone': accepted('a frame of a barrier alone', [barrier], [{ kind: 'barrier' }]),
  'base-alone': accepted(
    'base without a barrier, of the last epoch there can be',
    [base(MAX)],
    [{ kind: 'base', epoch: MAX }],
  ),
  continued: accepted(
    'the beginning of a continued image',
    [
      base(1),
      finishedObject,
      object(ids[0], 1, [digest]),
      inodeEntry(7, symlinkInode(Buffer.from('../pages-1.img'))),
      extentsEntry(9, [extent, { ...extent, fileOffset: 40000, object: 1 }]),
    ],
    [
      { kind: 'base', epoch: 1 },
      {
        kind: 'object',
        id: second,
        chunks: 65,
        digests: Buffer.concat([digest, filler('second digest', 32)]).toString('hex'),
      },
      { kind: 'object', id: first, chunks: 1, digests: digest.toString('hex') },
      { kind: 'inode', inode: 7, value: { type: 'symlink', ...usual, mode: 0o777, target: hex('../pages-1.img') } },
      {
        kind: 'extents',
        inode: 9,
        extents: [
          { fileOffset: 0, object: 0, objectOffset: 0, length: 20000 },
          { fileOffset: 40000, object: 1, objectOffset: 0, length: 20000 },
        ],
      },
    ],
  ),
  changes: accepted(
    'a file made smaller, renamed and removed',
    [
      barrier,
      inodeEntry(2, fileInodeAlone(0, { xattrs: [['user.a', Buffer.of(1)]] })),
      holesEntry(2, 0, 2),
      nameEntry(1, 2, 'b'),
      unname(1, 'pages-1.img'),
      unname(1, 'b'),
      gone(2),
    ],
    [
      { kind: 'barrier' },
      {
        kind: 'inode',
        inode: 2,
        value: { type: 'file', ...usual, ...closed, xattrs: [{ name: hex('user.a'), value: '01' }], size: 0 },
      },
      { kind: 'holes', inode: 2, fileChunk: 0, count: 2 },
      { kind: 'name', parent: 1, inode: 2, name: hex('b') },
      { kind: 'unname', parent: 1, name: hex('pages-1.img') },
      { kind: 'unname', parent: 1, name: hex('b') },
      { kind: 'gone', inode: 2 },
    ],
  ),
  flags: accepted(
    'a file that is open, one with lost contents, one that is both',
    [1, 2, 3].map((flags) => inodeEntry(2, fileInodeAlone(5, { flags }))),
    [
      { kind: 'inode', inode: 2, value: { type: 'file', ...usual, open: true, lost: false, size: 5 } },
      { kind: 'inode', inode: 2, value: { type: 'file', ...usual, open: false, lost: true, size: 5 } },
      { kind: 'inode', inode: 2, value: { type: 'file', ...usual, open: true, lost: true, size: 5 } },
    ],
  ),
  'meeting-points': accepted(
    'a FIFO and a socket',
    [inodeEntry(2, fifoInode()), inodeEntry(3, socketInode())],
    [
      { kind: 'inode', inode: 2, value: { type: 'fifo', ...usual } },
      { kind: 'inode', inode: 3, value: { type: 'socket', ...usual, mode: 0o755 } },
    ],
  ),
  limits: accepted(
    'everything at its limit',
    [
      object(ids[0], 64, [digest]),
      inodeEntry(0xffff_ffff, directoryInode()),
      inodeEntry(2, fileInodeAlone(MAX)),
      nameEntry(0xffff_ffff, 0xffff_ffff, Buffer.alloc(255, 0xff)),
      extentsEntry(2, [{ fileOffset: MAX - 1, object: 0xffff_ffff, objectOffset: MAX - 1, length: 1 }]),
      chunksEntry({ ...run, fileChunk: MAX - 1, object: 0xffff_ffff, objectChunk: 2 ** 32 - 1 }, [Buffer.alloc(64)]),
      holesEntry(0xffff_ffff, 1, MAX - 1),
    ],
    [
      { kind: 'object', id: first, chunks: 64, digests: digest.toString('hex') },
      { kind: 'inode', inode: 4294967295, value: directory },
      { kind: 'inode', inode: 2, value: { type: 'file', ...usual, ...closed, size: MAX } },
      { kind: 'name', parent: 4294967295, inode: 4294967295, name: 'ff'.repeat(255) },
      {
        kind: 'extents',
        inode: 2,
        extents: [{ fileOffset: MAX - 1, object: 4294967295, objectOffset: MAX - 1, length: 1 }],
      },
      {
        kind: 'chunks',
        inode: 2,
        fileChunk: MAX - 1,
        object: 4294967295,
        objectChunk: 4294967295,
        records: '00'.repeat(64),
      },
      { kind: 'holes', inode: 4294967295, fileChunk: 1, count: MAX - 1 },
    ],
  ),
};
