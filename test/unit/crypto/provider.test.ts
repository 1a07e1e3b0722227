import { getFips } from 'node:crypto';
import { expect, test } from 'vitest';
import { cryptoProvider, isFipsDemanded } from '../../../src/crypto/provider.ts';

test('it is the one that computes in this process', () => {
  expect(cryptoProvider()).toEqual({
    name: getFips() === 1 ? 'fips' : 'default',
    version: expect.stringMatching(/^3\.\d+\.\d+/),
    isFips: getFips() === 1,
  });
  expect(isFipsDemanded()).toBe(getFips() === 1);
});
