import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MalformedError } from '../../../src/base/bytes.ts';
import type { FileInode, Manifest } from '../../../src/format/manifest.ts';
import { decodeManifest, encodeManifest } from '../../../src/format/manifest-codec.ts';
import { allTimes, NO_TIMES } from '../../support/times.ts';
import { CHUNK_SIZE, manifests } from './arbitraries.ts';

const metadata = { mode: 0o755, uid: 0, gid: 0, ...NO_TIMES, xattrs: [] };
const root = { type: 'directory', ...metadata } as const;
const object = { id: Buffer.alloc(16, 1), chunks: 2, digests: Buffer.alloc(32) };
const extent = { fileOffset: 0, object: 0, objectOffset: 0, length: 20000 };
const file: FileInode = { type: 'file', ...metadata, size: 20000, extents: [extent] };
const name = Buffer.from('pages-1.img');
const small: Manifest = { epoch: 1, objects: [object], inodes: [root, file], entries: [{ parent: 1, inode: 2, name }] };

function withFile(change: Partial<FileInode>): Manifest {
  return { ...small, inodes: [root, { ...file, ...change }] };
}

describe('manifest', () => {
  test('decode is the inverse of encode', () => {
    fc.assert(
      fc.property(manifests, (manifest) => {
        const bytes = encodeManifest(manifest, CHUNK_SIZE);
        expect(bytes.length % 4096).toBe(0);
        expect(decodeManifest(bytes, CHUNK_SIZE)).toEqual(manifest);
      }),
      { numRuns: 500 },
    );
  });

  test('what decodes encodes to the same bytes, also after any change; everything else is refused cleanly', () => {
    fc.assert(
      fc.property(manifests, fc.nat(), fc.integer({ min: 1, max: 255 }), (manifest, at, flip) => {
        const bytes = Buffer.from(encodeManifest(manifest, CHUNK_SIZE));
        const position = at % bytes.length;
        bytes[position] = (bytes[position] ?? 0) ^ flip;
        try {
          expect(encodeManifest(decodeManifest(bytes, CHUNK_SIZE), CHUNK_SIZE).equals(bytes)).toBe(true);
        } catch (error) {
          if (!(error instanceof MalformedError)) throw error;
        }
      }),
      { numRuns: 3000 },
    );
  });

  test('random bytes are refused cleanly', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 4096, maxLength: 4096 }), (bytes) => {
        expect(() => decodeManifest(bytes, CHUNK_SIZE)).toThrow(MalformedError);
      }),
    );
  });

  test('cut anywhere it is refused', () => {
    const bytes = encodeManifest(small, CHUNK_SIZE);
    for (let length = 0; length < bytes.length; length++) {
      expect(() => decodeManifest(bytes.subarray(0, length), CHUNK_SIZE)).toThrow(MalformedError);
    }
    expect(() => decodeManifest(Buffer.concat([bytes, Buffer.alloc(4096)]), CHUNK_SIZE)).toThrow(/padded/);
  });

  const broken: Readonly<Record<string, Manifest>> = {
    'epoch 0': { ...small, epoch: 0 },
    'unused object': { ...small, objects: [object, { ...object, id: Buffer.alloc(16, 2) }] },
    'objects out of order': {
      ...withFile({ extents: [extent, { ...extent, object: 1, fileOffset: 20000, length: 1 }], size: 20001 }),
      objects: [{ ...object, id: Buffer.alloc(16, 2) }, object],
    },
    'wrong number of digests': { ...small, objects: [{ ...object, digests: Buffer.alloc(64) }] },
    'object without chunks': { ...small, objects: [{ ...object, chunks: 0, digests: Buffer.alloc(0) }] },
    'extent past the file': withFile({ size: 19999 }),
    'extent past the object': withFile({ size: 40000, extents: [{ ...extent, length: 32769 }] }),
    'extent of no object': withFile({ extents: [{ ...extent, object: 1 }] }),
    'empty extent': withFile({ extents: [{ ...extent, length: 0 }] }),
    'overlapping extents': withFile({ extents: [extent, { ...extent, fileOffset: 19999, length: 1 }] }),
    'two extents that are one': withFile({
      extents: [
        { ...extent, length: 100 },
        { fileOffset: 100, object: 0, objectOffset: 100, length: 100 },
      ],
    }),
    'mode with type bits': withFile({ mode: 0o100644 }),
    ...Object.fromEntries(
      ['atime', 'mtime', 'ctime'].flatMap((which): [string, Manifest][] => [
        [`a second of nanoseconds in the ${which}`, withFile({ [which]: { seconds: 0, nanoseconds: 1_000_000_000 } })],
        [`2^53 seconds in the ${which}`, withFile({ [which]: { seconds: 2 ** 53, nanoseconds: 0 } })],
      ]),
    ),
    'foreign attribute': withFile({ xattrs: [{ name: Buffer.from('security.x'), value: Buffer.alloc(1) }] }),
    'empty attribute name': withFile({ xattrs: [{ name: Buffer.from('user.'), value: Buffer.alloc(1) }] }),
    'root that is a file': { ...small, inodes: [file, file], entries: [{ parent: 1, inode: 2, name }] },
    'no root': { epoch: 1, objects: [], inodes: [], entries: [] },
    'inode without a name': { ...small, entries: [] },
    'root with a name': { ...small, entries: [...small.entries, { parent: 1, inode: 1, name: Buffer.from('z') }] },
    'entry of no inode': { ...small, entries: [...small.entries, { parent: 1, inode: 3, name: Buffer.from('z') }] },
    'entry in a file': { ...small, entries: [...small.entries, { parent: 2, inode: 2, name }] },
    'same name twice': { ...small, entries: [...small.entries, ...small.entries] },
    'directory with two names': {
      ...small,
      inodes: [root, file, root],
      entries: ['a', 'b', 'c'].map((text, at) => ({ parent: 1, inode: [3, 3, 2][at] ?? 0, name: Buffer.from(text) })),
    },
    'directories in a circle': {
      ...small,
      inodes: [root, file, root, root],
      entries: [
        { parent: 1, inode: 2, name },
        { parent: 3, inode: 4, name },
        { parent: 4, inode: 3, name },
      ],
    },
    ...Object.fromEntries(
      ['', '.', '..', 'a/b', 'a\0', 'x'.repeat(256)].map((text) => [
        `name ${JSON.stringify(text.slice(0, 9))}`,
        { ...small, entries: [{ parent: 1, inode: 2, name: Buffer.from(text) }] },
      ]),
    ),
  };

  test('the sample the broken ones are made of is itself good', () => {
    expect(decodeManifest(encodeManifest(small, CHUNK_SIZE), CHUNK_SIZE)).toEqual(small);
  });

  for (const [what, manifest] of Object.entries(broken)) {
    test(`refused: ${what}`, () => {
      expect(() => encodeManifest(manifest, CHUNK_SIZE)).toThrow(MalformedError);
    });
  }
});

test('inodes without atime and ctime, as unreleased versions wrote them, are refused', () => {
  const times = allTimes({ seconds: 1_700_000_000, nanoseconds: 5 });
  const common = { mode: 0o755, uid: 0, gid: 0, ...times, xattrs: [] };
  const manifest: Manifest = {
    epoch: 1,
    objects: [],
    inodes: [
      { type: 'directory', ...common },
      { type: 'file', ...common, size: 5, extents: [] },
    ],
    entries: [{ parent: 1, inode: 2, name: Buffer.from('f') }],
  };
  const encoded = encodeManifest(manifest, CHUNK_SIZE);
  expect(decodeManifest(encoded, CHUNK_SIZE)).toEqual(manifest);
  // An inode begins with 12 bytes, then come atime, mtime and ctime, of 12 bytes each.
  const withoutTimes = [20, 20 + 50].flatMap((start, at, starts) => [
    encoded.subarray(start, start + 12),
    encoded.subarray(start + 24, start + 36),
    encoded.subarray(start + 48, starts[at + 1]),
  ]);
  const old = Buffer.concat([encoded.subarray(0, 20), ...withoutTimes, Buffer.alloc(48)]);
  expect(old.length).toBe(encoded.length);
  expect(() => decodeManifest(old, CHUNK_SIZE)).toThrow(MalformedError);
});
