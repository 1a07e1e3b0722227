import { filler, type ManifestParts, manifestPlaintext } from './encode.ts';
import { digest, full, ids, rootOnly, small } from './manifest-samples.ts';
import { CHUNK_SIZE } from './sample.ts';
import { type ManifestPlaintextVector, type NamedVectors, pack } from './vector.ts';

/** What the samples of manifest-samples.ts say, written down by hand a second time; byte strings in hexadecimal. */

const usual = {
  mode: 0o644,
  uid: 1000,
  gid: 100,
  atime: { seconds: 1_700_000_001, nanoseconds: 234_567_891 },
  mtime: { seconds: 1_700_000_000, nanoseconds: 123_456_789 },
  ctime: { seconds: 1_700_000_002, nanoseconds: 345_678_912 },
  xattrs: [],
};
const directory = { type: 'directory', ...usual, mode: 0o755 };
const hex = (text: string): string => Buffer.from(text).toString('hex');
const [first, second] = ids.map((id) => id.toString('hex'));

function accepted(
  description: string,
  parts: ManifestParts,
  expected: Record<string, unknown>,
): ManifestPlaintextVector {
  return {
    description,
    kind: 'manifest-plaintext',
    stage: 'ok',
    chunkSize: CHUNK_SIZE,
    input: pack(manifestPlaintext(parts)),
    expected,
  };
}

export const acceptedPlaintexts: NamedVectors = {
  'root-only': accepted('an empty directory', rootOnly, { epoch: 1, objects: [], inodes: [directory], entries: [] }),
  small: accepted('one file', small, {
    epoch: 1,
    objects: [{ id: first, chunks: 2, digests: digest.toString('hex') }],
    inodes: [
      directory,
      { type: 'file', ...usual, size: 20000, extents: [{ fileOffset: 0, object: 0, objectOffset: 0, length: 20000 }] },
    ],
    entries: [{ parent: 1, inode: 2, name: hex('pages-1.img') }],
  }),
  full: accepted('everything a manifest can hold, at the limits', full, {
    epoch: 9007199254740991,
    objects: [
      { id: first, chunks: 65, digests: Buffer.concat([digest, filler('second digest', 32)]).toString('hex') },
      { id: second, chunks: 1, digests: digest.toString('hex') },
    ],
    inodes: [
      {
        ...directory,
        xattrs: [
          { name: hex('user.a'), value: '' },
          { name: `${hex('user.b')}ff`, value: filler('attribute', 30).toString('hex') },
        ],
      },
      {
        ...directory,
        mode: 0o7777,
        uid: 4294967295,
        gid: 4294967295,
        mtime: { seconds: -1, nanoseconds: 999999999 },
      },
      {
        type: 'file',
        ...usual,
        mode: 0,
        atime: { seconds: 9007199254740991, nanoseconds: 0 },
        ctime: { seconds: -9007199254740991, nanoseconds: 1 },
        size: 0,
        extents: [],
      },
      {
        type: 'file',
        ...usual,
        size: 1099511627776,
        extents: [
          { fileOffset: 4096, object: 0, objectOffset: 0, length: 4096 },
          { fileOffset: 8192, object: 0, objectOffset: 8192, length: 1 },
          { fileOffset: 1099511627775, object: 0, objectOffset: 1064959, length: 1 },
        ],
      },
      {
        type: 'file',
        ...usual,
        size: 9007199254740991,
        extents: [{ fileOffset: 0, object: 1, objectOffset: 0, length: 16384 }],
      },
      {
        type: 'symlink',
        ...usual,
        mode: 0o777,
        mtime: { seconds: -9007199254740991, nanoseconds: 0 },
        target: hex('../pages-1.img'),
      },
      { type: 'symlink', ...usual, mode: 0o777, target: '2f'.repeat(4095) },
      { type: 'fifo', ...usual, mode: 0o600 },
      { type: 'socket', ...usual, mode: 0o755, xattrs: [{ name: hex('user.a'), value: '' }] },
    ],
    entries: [
      { parent: 1, inode: 2, name: '01' },
      { parent: 1, inode: 3, name: hex('...') },
      { parent: 1, inode: 4, name: '78'.repeat(255) },
      { parent: 1, inode: 5, name: 'fffe' },
      { parent: 2, inode: 4, name: hex('hard link') },
      { parent: 2, inode: 6, name: hex('link') },
      { parent: 2, inode: 7, name: hex('long link') },
      { parent: 2, inode: 8, name: hex('meeting point') },
      { parent: 2, inode: 8, name: hex('meeting point 2') },
      { parent: 2, inode: 9, name: hex('socket') },
    ],
  }),
};
