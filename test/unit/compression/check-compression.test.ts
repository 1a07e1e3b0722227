import { expect, test } from 'vitest';
import { checkCompression, checkLibrary, hasLibrary } from '../../../src/compression/check-compression.ts';
import type { Compression } from '../../../src/compression/chunk-compressor.ts';
import { compressionNames } from '../../../src/format/compressions.ts';

test('every way to compress that an image has is allowed', () => {
  expect(compressionNames.filter(hasLibrary)).toEqual(compressionNames);
  for (const name of [undefined, ...compressionNames]) expect(() => checkLibrary(name)).not.toThrow();
  for (const level of [1, 3, 19]) expect(() => checkCompression({ name: 'zstd', level })).not.toThrow();
  expect(() => checkCompression({ name: 'lz4', isAdaptive: true })).not.toThrow();
  expect(() => checkCompression(undefined)).not.toThrow();
});

test.each([{ name: 'gzip' }, { name: '' }, { name: 'zstd', level: 0 }, { name: 'zstd', level: 20 }])(
  '%j is refused',
  (compression) => {
    expect(() => checkCompression(compression as Compression)).toThrow(
      expect.objectContaining({ code: 'bad-argument', message: expect.stringContaining('must be') }),
    );
  },
);

test.each([1.5, Number.NaN, 2 ** 32 + 3])('level %d is refused', (level) => {
  expect(() => checkCompression({ name: 'zstd', level })).toThrow(`level ${level}: must be 1 to 19`);
});
