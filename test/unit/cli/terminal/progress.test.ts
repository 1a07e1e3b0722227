import { expect, test } from 'vitest';
import { progressText } from '../../../../src/cli/terminal/progress.ts';

test('a line says how much is done, and what is left', () => {
  expect(progressText('encrypting', 1 << 30, 2 ** 31, 2)).toMatch(
    /^encrypting \[#{12}-{12}\] {2}50 % {2}1\.0 GiB of 2\.0 GiB, 512 MiB\/s, 2 s left$/,
  );
});

test('a line says only what is done where the rest is not known', () => {
  expect(progressText('encrypting', 1 << 30, undefined, 2)).toBe('encrypting 1.0 GiB, 512 MiB/s');
});
