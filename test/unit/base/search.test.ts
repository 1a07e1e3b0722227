import fc from 'fast-check';
import { expect, test } from 'vitest';
import { firstNotBelow } from '../../../src/base/search.ts';

// Holds the bisection against a plain search from the start of the range.

const isLess = (number: number, bound: number): boolean => number < bound;

test('finds what a plain search finds, in any range of ascending numbers', () => {
  const range = fc.tuple(fc.array(fc.nat(50)), fc.nat(50), fc.nat(50), fc.nat(50));
  fc.assert(
    fc.property(range, ([numbers, bound, one, other]) => {
      numbers.sort((a, b) => a - b);
      const [start = 0, end = 0] = [one, other].map((index) => Math.min(index, numbers.length)).sort((a, b) => a - b);
      const plain = numbers.findIndex((number, index) => index >= start && index < end && number >= bound);
      expect(firstNotBelow(numbers, bound, isLess, start, end)).toBe(plain === -1 ? end : plain);
    }),
  );
});

test('finds no index in an empty list', () => {
  expect(firstNotBelow([], 0, isLess)).toBe(0);
});
