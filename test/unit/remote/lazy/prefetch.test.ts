import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { encodeAccessProfile } from '../../../../src/format/access-profile.ts';
import { packedBlockSize } from '../../../../src/format/block-table.ts';
import { blocksOfProfile, readProfileFile, within } from '../../../../src/remote/lazy/prefetch.ts';
import { PackedBlocks } from '../../../support/packed-blocks.ts';

const index = 'ab'.repeat(32);
const profile = encodeAccessProfile({
  imageId: '00'.repeat(16),
  index,
  blocks: [
    [5, 2],
    [1, 1],
  ],
});

test('a profile says which blocks to fetch, of its own image alone', () => {
  expect([...blocksOfProfile(profile, index, 7)]).toEqual([1, 5, 6]);
  expect([...blocksOfProfile(profile, 'cd'.repeat(32), 7)]).toEqual([]);
  expect(() => blocksOfProfile(profile, index, 6)).toThrow('does not have');
  expect(() => blocksOfProfile(Buffer.from('{}'), index, 7)).toThrow('not an access profile');
});

test('what a profile says was read at about the same time is fetched in the order of the image', () => {
  const pairs = Array.from({ length: 64 }, (_, pair): [number, number][] => [
    [1001 + 2 * pair, 1],
    [1000 + 2 * pair, 1],
  ]);
  const bytes = encodeAccessProfile({ imageId: '00'.repeat(16), index, blocks: [...pairs.flat(), [7, 1]] });
  expect([...blocksOfProfile(bytes, index, 2000)]).toEqual([...Array.from({ length: 128 }, (_, at) => 1000 + at), 7]);
});

test('a profile in a file is read whole', () => {
  const base = mkdtempSync(join(tmpdir(), 'ckptfs-profile-'));
  writeFileSync(join(base, 'profile'), profile);
  expect(readProfileFile(join(base, 'profile'))).toEqual(profile);
  expect(() => readProfileFile(join(base, 'absent'))).toThrow(expect.objectContaining({ code: 'io' }));
  expect(() => readProfileFile('/dev/zero')).toThrow(expect.objectContaining({ code: 'bad-argument' }));
  rmSync(base, { recursive: true });
});

test('no more is fetched in advance than there is room for', () => {
  const table = new PackedBlocks([1, 1, 1, 0]);
  const size = packedBlockSize(1);
  expect([...within(2 * size, [2, 0, 1], table)]).toEqual([2, 0]);
  expect([...within(100 * size, [2, 0, 1, 3], table)]).toEqual([2, 0, 1, 3]);
});
