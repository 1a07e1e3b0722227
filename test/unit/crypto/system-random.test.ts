import { expect, test } from 'vitest';
import { Region } from '../../../src/base/linux/native.ts';
import { fillRandom, randomBytes } from '../../../src/crypto/system-random.ts';

test('fills what it was asked to, and nothing beside it', () => {
  const region = new Region(96);
  fillRandom(region, 32, 32);
  expect(region.bytes.subarray(0, 32)).toEqual(Buffer.alloc(32));
  expect(region.bytes.subarray(64)).toEqual(Buffer.alloc(32));
  expect(region.bytes.subarray(32, 64)).not.toEqual(Buffer.alloc(32));
  fillRandom(region, 96);
  fillRandom(region, 3, 0);
  expect(region.bytes.subarray(0, 32)).toEqual(Buffer.alloc(32));
});

test('fills more than the kernel gives by one call without a break', () => {
  const bytes = randomBytes(1 << 20);
  // Of 64 bytes in a row none is likely to be all zeros: the last ones were filled, too.
  for (let at = 0; at < bytes.length; at += 64)
    expect(bytes.subarray(at, at + 64).some((byte) => byte !== 0)).toBe(true);
});

test('draws other bytes each time', () => {
  const drawn = new Set(Array.from({ length: 1000 }, () => randomBytes(12).toString('hex')));
  expect(drawn.size).toBe(1000);
});

test('refuses a range that is not in the region', () => {
  const region = new Region(16);
  for (const [offset, length] of [
    [0, 17],
    [16, 1],
    [-1, 4],
    [4, -1],
    [Number.NaN, 1],
  ] as const) {
    expect(() => fillRandom(region, offset, length)).toThrow(RangeError);
  }
});
