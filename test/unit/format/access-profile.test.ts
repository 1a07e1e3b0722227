// Goal: a profile is parsed only in its one form, and by a hostile one no more is fetched than the image, once.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MalformedError } from '../../../src/base/bytes.ts';
import {
  type AccessProfile,
  encodeAccessProfile,
  MAX_PROFILE_SIZE,
  parseAccessProfile,
  runsFor,
  runsOf,
} from '../../../src/format/access-profile.ts';

const names = { imageId: '11'.repeat(16), index: 'ab'.repeat(32) };
const good: AccessProfile = {
  ...names,
  blocks: [
    [7, 3],
    [0, 1],
    [1, 2],
  ],
};
const touched = fc.uniqueArray(fc.nat({ max: 200 }), { maxLength: 60 });

test('what is encoded is parsed again, and names the blocks in the order in which they were touched', () => {
  fc.assert(
    fc.property(touched, (blocks) => {
      const profile = { ...names, blocks: runsOf(blocks) };
      const parsed = parseAccessProfile(encodeAccessProfile(profile));
      expect(parsed).toEqual(profile);
      const all = parsed.blocks.flatMap(([first, count]) => Array.from({ length: count }, (_, index) => first + index));
      expect(all).toEqual(blocks);
    }),
  );
});

test('what is altered in any byte is refused, or is another profile in its own form', () => {
  const bytes = encodeAccessProfile(good);
  fc.assert(
    fc.property(fc.nat({ max: bytes.length - 1 }), fc.integer({ min: 1, max: 255 }), (at, mask) => {
      const altered = Buffer.from(bytes);
      altered[at] = (altered[at] ?? 0) ^ mask;
      try {
        expect(encodeAccessProfile(parseAccessProfile(altered)).equals(altered)).toBe(true);
      } catch (error) {
        expect(error).toBeInstanceOf(MalformedError);
      }
    }),
  );
});

test('what was touched in the worst order still fits', () => {
  const blocks = Array.from({ length: 70_000 }, (_, index) => 15_700_000 - 2 * index);
  const bytes = encodeAccessProfile({ ...names, blocks: runsOf(blocks) });
  expect(bytes.length).toBeLessThanOrEqual(MAX_PROFILE_SIZE);
  expect(parseAccessProfile(bytes).blocks[0]).toEqual([15_700_000, 1]);
});

test('only blocks of the image are fetched, and none for another index', () => {
  expect(runsFor(good, names.index, 10)).toEqual(good.blocks);
  expect(runsFor(good, 'cd'.repeat(32), 10)).toEqual([]);
  expect(() => runsFor(good, names.index, 9)).toThrow(MalformedError);
});

describe('a profile is refused', () => {
  test.each<[string, object]>([
    ['with a block twice', { blocks: [[0, 2], [5, 1], [1, 1]] }], // biome-ignore format: it is one line
    ['with a run of nothing', { blocks: [[0, 0]] }],
    ['with a run before the image', { blocks: [[-1, 2]] }],
    ['with a run that no image has', { blocks: [[15_790_320, 1]] }],
    ['with a run that wraps', { blocks: [[1, Number.MAX_SAFE_INTEGER]] }],
    ['with a fraction', { blocks: [[0.5, 1]] }],
    ['with a run of three numbers', { blocks: [[0, 1, 2]] }],
    ['with a run of texts', { blocks: [['0', '1']] }],
    ['with something else than a run', { blocks: [null] }],
    ['without blocks', { blocks: {} }],
    ['with too many runs', { blocks: Array.from({ length: 65_537 }, (_, index) => [2 * index, 1]) }],
    ['without an index', { index: '' }],
    ['without an image id', { imageId: 'x' }],
  ])('%s', (_, altered) => {
    expect(parseAccessProfile(encodeAccessProfile(good))).toEqual(good);
    const bytes = encodeAccessProfile({ ...good, ...altered });
    expect(() => parseAccessProfile(bytes)).toThrow(MalformedError);
  });

  test.each(['', 'null', '[]', '{}', '1', ' '.repeat(MAX_PROFILE_SIZE + 1)])('that is something else', (text) => {
    expect(() => parseAccessProfile(Buffer.from(text))).toThrow(MalformedError);
  });

  test('with anything after it', () => {
    const bytes = Buffer.concat([encodeAccessProfile(good), Buffer.from('\n')]);
    expect(() => parseAccessProfile(bytes)).toThrow(MalformedError);
  });
});
