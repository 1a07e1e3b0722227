import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MalformedError } from '../../../src/base/bytes.ts';
import type { JournalEntry } from '../../../src/format/journal.ts';
import {
  decodeEntries,
  encodeEntries,
  encodeJournalHeader,
  MAX_FRAME,
  parseJournalHeader,
} from '../../../src/format/journal-codec.ts';
import { NO_TIMES } from '../../support/times.ts';
import { frames, geometry } from './journal-arbitraries.ts';

const metadata = { mode: 0o644, uid: 0, gid: 0, ...NO_TIMES, xattrs: [] };
const directory = { type: 'directory', ...metadata } as const;
const file = { type: 'file', ...metadata, open: false, lost: false, size: 5 } as const;
const symlink = { type: 'symlink', ...metadata, target: Buffer.from('parent') } as const;
const id = Buffer.alloc(16, 1);
const name = Buffer.from('pages-1.img');
const record = Buffer.concat([Buffer.alloc(11, 7), Buffer.of(0x70, 7, 0, 0, 0), Buffer.alloc(48, 7)]);
/** A good record, and one of which a byte is another. */
function changed(at: number, byte: number): Buffer {
  const other = Buffer.from(record);
  other.writeUInt8(byte, at);
  return Buffer.concat([record, other]);
}

const extent = { fileOffset: 0, object: 0, objectOffset: 0, length: 100 };
const chunks = { kind: 'chunks', inode: 2, fileChunk: 0, object: 0, objectChunk: 0, records: record } as const;

const base: JournalEntry = { kind: 'base', epoch: 0 };
const barrier: JournalEntry = { kind: 'barrier' };
const gone: JournalEntry = { kind: 'gone', inode: 2 };

describe('entries of a frame', () => {
  test('decode is the inverse of encode', () => {
    fc.assert(
      fc.property(frames, (entries) => {
        expect(decodeEntries(encodeEntries(entries, geometry), geometry)).toEqual(entries);
      }),
      { numRuns: 1000 },
    );
  });

  test('what decodes encodes to the same bytes, also after any change; everything else is refused cleanly', () => {
    const outcomes = { same: 0, refused: 0 };
    fc.assert(
      fc.property(frames, fc.nat(), fc.integer({ min: 1, max: 255 }), (entries, at, flip) => {
        const bytes = Buffer.from(encodeEntries(entries, geometry));
        const position = at % bytes.length;
        bytes[position] = (bytes[position] ?? 0) ^ flip;
        try {
          expect(encodeEntries(decodeEntries(bytes, geometry), geometry).equals(bytes)).toBe(true);
          outcomes.same++;
        } catch (error) {
          if (!(error instanceof MalformedError)) throw error;
          outcomes.refused++;
        }
      }),
      { numRuns: 3000 },
    );
    expect(Math.min(outcomes.same, outcomes.refused)).toBeGreaterThan(100);
  });

  test('random bytes are refused cleanly, or encode to themselves', () => {
    const kind = fc.integer({ min: 0, max: 12 });
    fc.assert(
      fc.property(kind, fc.uint8Array({ maxLength: 200 }), (first, rest) => {
        const bytes = Buffer.concat([Buffer.of(first), rest]);
        try {
          expect(encodeEntries(decodeEntries(bytes, geometry), geometry).equals(bytes)).toBe(true);
        } catch (error) {
          if (!(error instanceof MalformedError)) throw error;
        }
      }),
      { numRuns: 3000 },
    );
  });

  test('refuses a frame cut within an entry, and reads the entries before a cut between two', () => {
    const entries: JournalEntry[] = [
      base,
      barrier,
      { kind: 'object', id, chunks: 65, digests: Buffer.alloc(64) },
      { kind: 'inode', inode: 1, value: directory },
      { kind: 'inode', inode: 2, value: file },
      { kind: 'name', parent: 1, inode: 2, name },
      { kind: 'extents', inode: 2, extents: [extent] },
    ];
    const whole = encodeEntries(entries, geometry);
    const ends = new Map(entries.map((_, at) => [encodeEntries(entries.slice(0, at + 1), geometry).length, at + 1]));
    for (let length = 0; length < whole.length; length++) {
      const count = ends.get(length);
      const cut = whole.subarray(0, length);
      if (count === undefined) expect(() => decodeEntries(cut, geometry)).toThrow(MalformedError);
      else expect(decodeEntries(cut, geometry)).toEqual(entries.slice(0, count));
    }
  });

  test('what it gives does not share memory with what it was given', () => {
    const bytes = encodeEntries([{ kind: 'name', parent: 1, inode: 2, name }, chunks], geometry);
    const entries = decodeEntries(bytes, geometry);
    bytes.fill(0xff);
    expect(entries).toEqual([{ kind: 'name', parent: 1, inode: 2, name }, chunks]);
  });

  test('not more than fit into a frame', () => {
    const digests = Buffer.alloc(MAX_FRAME);
    const most = { kind: 'object', id, chunks: (MAX_FRAME / 32) * 64, digests } as const;
    expect(() => encodeEntries([most], geometry)).toThrow(/frame of/);
    expect(() => decodeEntries(Buffer.alloc(MAX_FRAME + 1), geometry)).toThrow(/frame of/);
  });

  const broken: Readonly<Record<string, readonly JournalEntry[]>> = {
    'no entry': [],
    'base after another entry': [barrier, base],
    'two bases': [base, base],
    'barrier after another entry': [gone, barrier],
    'barrier after base and another': [base, gone, barrier],
    'two barriers': [barrier, barrier],
    'epoch 2^53': [{ kind: 'base', epoch: 2 ** 53 }],
    'object id of 15 bytes': [{ kind: 'object', id: id.subarray(1), chunks: 0, digests: Buffer.alloc(0) }],
    'finished object id of 15 bytes': [{ kind: 'object', id: id.subarray(1), chunks: 1, digests: Buffer.alloc(32) }],
    'begun object with a digest': [{ kind: 'object', id, chunks: 0, digests: Buffer.alloc(32) }],
    'finished object without its digest': [{ kind: 'object', id, chunks: 1, digests: Buffer.alloc(0) }],
    'finished object with a digest too many': [{ kind: 'object', id, chunks: 64, digests: Buffer.alloc(64) }],
    'object of 2^32 + 1 chunks': [{ kind: 'object', id, chunks: 2 ** 32 + 1, digests: Buffer.alloc(0) }],
    'inode 0': [{ kind: 'inode', inode: 0, value: file }],
    'inode 2^32': [{ kind: 'inode', inode: 2 ** 32, value: file }],
    'root that is a file': [{ kind: 'inode', inode: 1, value: file }],
    'mode with type bits': [{ kind: 'inode', inode: 2, value: { ...file, mode: 0o100644 } }],
    'a second of nanoseconds': [
      { kind: 'inode', inode: 2, value: { ...file, ctime: { seconds: 0, nanoseconds: 1_000_000_000 } } },
    ],
    'file of 2^53 bytes': [{ kind: 'inode', inode: 2, value: { ...file, size: 2 ** 53 } }],
    'link without a target': [{ kind: 'inode', inode: 2, value: { ...symlink, target: Buffer.alloc(0) } }],
    'link to a NUL': [{ kind: 'inode', inode: 2, value: { ...symlink, target: Buffer.from('a\0') } }],
    'foreign attribute': [
      { kind: 'inode', inode: 2, value: { ...file, xattrs: [{ name: Buffer.from('trusted.x'), value: id }] } },
    ],
    'root that is gone': [{ kind: 'gone', inode: 1 }],
    'gone inode 0': [{ kind: 'gone', inode: 0 }],
    'name of the root': [{ kind: 'name', parent: 1, inode: 1, name }],
    'name of inode 0': [{ kind: 'name', parent: 1, inode: 0, name }],
    'name in inode 0': [{ kind: 'name', parent: 0, inode: 2, name }],
    'unname in inode 0': [{ kind: 'unname', parent: 0, name }],
    'no extent': [{ kind: 'extents', inode: 2, extents: [] }],
    'extents of inode 0': [{ kind: 'extents', inode: 0, extents: [extent] }],
    'empty extent': [{ kind: 'extents', inode: 2, extents: [{ ...extent, length: 0 }] }],
    'overlapping extents': [{ kind: 'extents', inode: 2, extents: [extent, { ...extent, fileOffset: 99 }] }],
    'two extents that are one': [
      { kind: 'extents', inode: 2, extents: [extent, { ...extent, fileOffset: 100, objectOffset: 100 }] },
    ],
    'extent to 2^53': [{ kind: 'extents', inode: 2, extents: [{ ...extent, fileOffset: 2 ** 53 - 100 }] }],
    'extent to 2^53 of its object': [
      { kind: 'extents', inode: 2, extents: [{ ...extent, objectOffset: 2 ** 53 - 100 }] },
    ],
    'no record': [{ ...chunks, records: Buffer.alloc(0) }],
    'half a record': [{ ...chunks, records: Buffer.alloc(96) }],
    'record with a flag': [{ ...chunks, records: changed(14, 1) }],
    'record with a hole past the last sector': [{ ...chunks, records: changed(12, 0x10) }],
    'record with a bit of a sector in its nonce': [{ ...chunks, records: changed(11, 1) }],
    'chunks of inode 0': [{ ...chunks, inode: 0 }],
    'chunks from 2^32 on': [{ ...chunks, objectChunk: 2 ** 32 }],
    'file chunks to 2^53': [{ ...chunks, fileChunk: 2 ** 53 - 1 }],
    'no hole': [{ kind: 'holes', inode: 2, fileChunk: 0, count: 0 }],
    'holes of inode 0': [{ kind: 'holes', inode: 0, fileChunk: 0, count: 1 }],
    'holes to 2^53': [{ kind: 'holes', inode: 2, fileChunk: 1, count: 2 ** 53 - 1 }],
    ...Object.fromEntries(
      ['', '.', '..', 'a/b', 'a\0', 'x'.repeat(256)].flatMap((text): [string, JournalEntry[]][] => [
        [`name ${JSON.stringify(text.slice(0, 9))}`, [{ kind: 'name', parent: 1, inode: 2, name: Buffer.from(text) }]],
        [`unname ${JSON.stringify(text.slice(0, 9))}`, [{ kind: 'unname', parent: 1, name: Buffer.from(text) }]],
      ]),
    ),
  };

  for (const [what, entries] of Object.entries(broken)) {
    test(`refused: ${what}`, () => {
      expect(() => encodeEntries(entries, geometry)).toThrow(MalformedError);
    });
  }

  test('a count that promises more than there is allocates nothing for it', () => {
    const huge = Buffer.alloc(4, 0xff);
    for (const whole of [
      encodeEntries([chunks], geometry),
      encodeEntries([{ kind: 'extents', inode: 2, extents: [extent] }], geometry),
    ]) {
      const at = whole[0] === 9 ? 25 : 5;
      const bytes = Buffer.concat([whole.subarray(0, at), huge, whole.subarray(at + 4)]);
      expect(() => decodeEntries(bytes, geometry)).toThrow(/count 4294967295 does not fit/);
    }
    const object = Buffer.concat([Buffer.of(3), id, Buffer.alloc(8)]);
    object.writeBigUInt64LE(2n ** 32n, 17);
    expect(() => decodeEntries(object, geometry)).toThrow(/ends early/);
  });
});

describe('journal header', () => {
  test('the id is read back', () => {
    const header = encodeJournalHeader(id);
    expect(header.length).toBe(32);
    expect(parseJournalHeader(header)).toEqual(id);
  });

  test('any other length, and any bit before the id, is refused', () => {
    const header = encodeJournalHeader(id);
    expect(() => encodeJournalHeader(id.subarray(1))).toThrow(MalformedError);
    for (let length = 0; length < header.length; length++) {
      expect(() => parseJournalHeader(header.subarray(0, length))).toThrow(MalformedError);
    }
    expect(() => parseJournalHeader(Buffer.concat([header, Buffer.alloc(1)]))).toThrow(MalformedError);
    for (let bit = 0; bit < 128; bit++) {
      const changed = Buffer.from(header);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(() => parseJournalHeader(changed)).toThrow(/unknown bytes/);
    }
  });
});
