import { expect, test } from 'vitest';
import { blockFile, blockLock, stubImage } from '../../../../src/remote/lazy/cache-layout.ts';

test('a block has a file and a byte of its own', () => {
  const digest = 'ffffffffffff00112233445566778899';
  expect(blockFile(digest)).toEqual({ folder: 'ff', name: digest });
  const byte = blockLock('image', digest);
  expect(byte).toBeLessThan(2 ** 48);
  expect(Number.isInteger(byte)).toBe(true);
  expect(blockLock('image', digest)).toBe(byte);
  for (const other of [blockLock('another', digest), blockLock('image', '00'.repeat(16))]) expect(other).not.toBe(byte);
  expect(stubImage('/cache', 'ab')).toBe('/cache/images/ab/image');
});
