import { describe, expect, test } from 'vitest';
import { progressText } from '../../../../src/cli/terminal/progress.ts';
import { countOf, formatBytes, formatDuration, parseBytes } from '../../../../src/cli/terminal/quantities.ts';

test.each([
  [0, '0 bytes'],
  [1, '1 byte'],
  [1023, '1023 bytes'],
  [1024, '1.0 KiB'],
  [1536, '1.5 KiB'],
  [10 * 1024, '10 KiB'],
  [1024 ** 2 - 1, '1.0 MiB'],
  [2.5 * 1024 ** 3, '2.5 GiB'],
  [1024 ** 4, '1.0 TiB'],
  [Number.MAX_SAFE_INTEGER, '8.0 PiB'],
])('%d bytes are %s', (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});

test.each([
  [0.4, '0 s'],
  [59.6, '1 min 0 s'],
  [200, '3 min 20 s'],
  [7500, '2 h 5 min'],
])('%d seconds are %s', (seconds, text) => {
  expect(formatDuration(seconds)).toBe(text);
});

describe('parseBytes', () => {
  test.each([
    ['0', 0],
    ['67108864', 67108864],
    ['64K', 65536],
    ['64m', 64 * 2 ** 20],
    ['1GiB', 2 ** 30],
    ['2TB', 2 ** 41],
    ['9007199254740991', Number.MAX_SAFE_INTEGER],
  ])('%s', (text, bytes) => {
    expect(parseBytes(text)).toBe(bytes);
  });

  test.each(['', ' ', '-1', '1.5M', '0x10', '1e9', '64 Q', 'M', '9007199254740992', '9999999T'])(
    'refuses %j',
    (text) => {
      expect(parseBytes(text)).toBeUndefined();
    },
  );
});

test('a count has its noun in the singular or the plural', () => {
  expect([countOf(1, 'file'), countOf(0, 'file'), countOf(2, 'entry', 'entries')]).toEqual([
    '1 file',
    '0 files',
    '2 entries',
  ]);
});

test('progress has share, amounts, rate and the time left', () => {
  expect(progressText('encrypting', 256 * 2 ** 20, 2 ** 30, 2)).toBe(
    'encrypting [######------------------]  25 %  256 MiB of 1.0 GiB, 128 MiB/s, 6 s left',
  );
  expect(progressText('verifying', 0, 0, 0)).toContain('100 %  0 bytes of 0 bytes, 0 bytes/s');
});
