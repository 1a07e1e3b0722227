import { expect, test } from 'vitest';
import { blockFile, blockLock, stubImage } from '../../../../src/remote/lazy/cache-layout.ts';

test('a block has a file and a byte of its own', () => {
  const digest = 'ffffffffffff00112233445566778899';
  expect(blockFile(digest)).toEqual({ folder: 'ff', name: digest });
  expect(blockLock(digest)).toBe(2 ** 48 - 1);
  expect(stubImage('/cache', 'ab')).toBe('/cache/images/ab/image');
});
