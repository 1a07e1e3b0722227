import { describe, expect, test } from 'vitest';
import { formatSize, formatValue, parseSize, scaleFor } from '../../units.ts';

test.each([
  ['seconds', 0.0842, 0.5, '84.2 ms'],
  ['seconds', 0.5, 2, '0.5 s'],
  ['bytes per second', 1_234_567_890, 5e9, '1,230 MB/s'],
  ['bytes per second', 1_234_567_890, 5e10, '1.23 GB/s'],
  ['reads per second', 26_449, 3e6, '26,400 reads/s'],
  ['files per second', 4_321, 5e4, '4,320 files/s'],
  ['bytes', 94.6 * 2 ** 20, 2 ** 30, '94.6 MiB'],
] as const)('%s: %d beside at most %d is %s', (unit, value, greatest, text) => {
  expect(formatValue(value, scaleFor(unit, greatest))).toBe(text);
});

describe('sizes', () => {
  test.each([
    ['512', 512],
    ['128M', 128 * 2 ** 20],
    ['1GiB', 2 ** 30],
    ['20g', 20 * 2 ** 30],
  ])('%s is %d', (text, bytes) => expect(parseSize(text)).toBe(bytes));
  test.each(['', 'M', '1.5G', '-1', '1X', '1 G'])('%j is no size', (text) => {
    expect(() => parseSize(text)).toThrow(RangeError);
  });
  test.each([
    [2 ** 30, '1 GiB'],
    [2.5 * 2 ** 30, '2.5 GiB'],
    [128 * 2 ** 20, '128 MiB'],
    [10, '10 bytes'],
  ])('%d is shown as %s', (bytes, text) => expect(formatSize(bytes)).toBe(text));
});
