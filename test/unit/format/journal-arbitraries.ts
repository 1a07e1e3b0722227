import fc from 'fast-check';
import { Geometry } from '../../../src/format/geometry.ts';
import type { JournalEntry, JournalInode } from '../../../src/format/journal.ts';
import type { Extent } from '../../../src/format/manifest.ts';
import { directory, meeting, metadata, name, symlink } from './arbitraries.ts';

/** Entries that the journal's codec takes, of every kind; whether they fit each other is not its business. */

const u32 = fc.nat(0xffff_ffff);
const number = fc.integer({ min: 2, max: 0xffff_ffff });
const parent = fc.integer({ min: 1, max: 0xffff_ffff });
const safe = fc.maxSafeNat();

const bytes = (length: number): fc.Arbitrary<Buffer> =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((array) => Buffer.from(array));

const inode: fc.Arbitrary<JournalInode> = fc.oneof(
  directory,
  symlink,
  meeting,
  fc
    .tuple(metadata, fc.boolean(), fc.boolean(), safe)
    .map(([m, open, lost, size]) => ({ type: 'file' as const, ...m, open, lost, size })),
);

/** A hole and then data, again and again; no two continue each other, since a gap stands between them. */
const extents: fc.Arbitrary<Extent[]> = fc
  .array(fc.tuple(fc.integer({ min: 1, max: 2 ** 40 }), fc.integer({ min: 1, max: 2 ** 40 }), u32, fc.nat(2 ** 50)), {
    minLength: 1,
    maxLength: 4,
  })
  .map((runs) => {
    let end = 0;
    return runs.map(([hole, length, object, objectOffset]) => {
      const fileOffset = end + hole;
      end = fileOffset + length;
      return { fileOffset, object, objectOffset, length };
    });
  });

export const geometry = new Geometry(16384);

/** Anything but flags, holes past the last sector and bits of a sector in the nonce. */
const records = fc
  .array(bytes(geometry.recordSize), { minLength: 1, maxLength: 5 })
  .map((list) => Buffer.concat(list.map(wellFormed)));

function wellFormed(record: Buffer): Buffer {
  record.writeUInt8(record.readUInt8(11) & 0xf0, 11);
  record.writeUInt32LE(record.readUInt32LE(12) & geometry.holeMask, 12);
  return record;
}

const finished = fc.record({
  kind: fc.constant('object' as const),
  id: bytes(16),
  chunks: fc.integer({ min: 1, max: 400 }),
});

const entry: fc.Arbitrary<JournalEntry> = fc.oneof(
  fc.record({ kind: fc.constant('object' as const), id: bytes(16) }).map((o) => {
    return { ...o, chunks: 0, digests: Buffer.alloc(0) };
  }),
  finished.chain((o) => bytes(geometry.groupsFor(o.chunks) * 32).map((digests) => ({ ...o, digests }))),
  fc.record({ kind: fc.constant('inode' as const), inode: number, value: inode }),
  fc.record({ kind: fc.constant('inode' as const), inode: fc.constant(1), value: directory }),
  fc.record({ kind: fc.constant('gone' as const), inode: number }),
  fc.record({ kind: fc.constant('name' as const), parent, inode: number, name }),
  fc.record({ kind: fc.constant('unname' as const), parent, name }),
  fc.record({ kind: fc.constant('extents' as const), inode: number, extents }),
  fc.record({
    kind: fc.constant('chunks' as const),
    inode: number,
    fileChunk: fc.nat(2 ** 50),
    object: u32,
    objectChunk: fc.nat(2 ** 32 - 5),
    records,
  }),
  fc.record({
    kind: fc.constant('holes' as const),
    inode: number,
    fileChunk: fc.nat(2 ** 50),
    count: fc.integer({ min: 1, max: 2 ** 50 }),
  }),
);

const base: fc.Arbitrary<JournalEntry> = fc.record({ kind: fc.constant('base' as const), epoch: safe });
const barrier: fc.Arbitrary<JournalEntry> = fc.constant({ kind: 'barrier' as const });

/** The entries that may begin a frame. */
const head = fc.oneof(
  fc.constant<JournalEntry[]>([]),
  barrier.map((b) => [b]),
  fc.tuple(base, barrier),
  base.map((b) => [b]),
);

/** All entries of one frame. */
export const frames: fc.Arbitrary<JournalEntry[]> = fc
  .tuple(head, fc.array(entry, { maxLength: 12 }))
  .map(([first, rest]) => [...first, ...rest])
  .filter((entries) => entries.length > 0);
