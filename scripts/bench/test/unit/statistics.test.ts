import { describe, expect, test } from 'vitest';
import { medianOf, timesBetter } from '../../results.ts';
import { median, summarize, toSignificant } from '../../statistics.ts';
import { scenarioOf } from './results.ts';

describe('median', () => {
  test('is the middle one, by value and not by digits', () => expect(median([100, 9, 20])).toBe(20));
  test('is the mean of both middle ones', () => expect(median([1, 10, 2, 4])).toBe(3));
  test('leaves its argument as it was', () => {
    const values = [3, 1, 2];
    median(values);
    expect(values).toEqual([3, 1, 2]);
  });
  test('of nothing is refused', () => expect(() => median([])).toThrow(RangeError));
});

test('a summary has the median and both ends', () => {
  expect(summarize([5, 1, 3, 2])).toEqual({ median: 2.5, least: 1, greatest: 5 });
});

test('significant digits are kept of large and small values', () => {
  expect(toSignificant(1234567.8, 5)).toBe(1234600);
  expect(toSignificant(0.000123456, 5)).toBe(0.00012346);
});

describe('times as fast', () => {
  test('divides rates', () => {
    expect(timesBetter(scenarioOf({ ckptfs: [10, 30, 20], gpg: [10] }), 'ckptfs', 'gpg')).toBe(2);
  });
  test('divides times the other way round', () => {
    const scenario = scenarioOf({ ckptfs: [2], gpg: [8] }, { unit: 'seconds', better: 'lower' });
    expect(timesBetter(scenario, 'ckptfs', 'gpg')).toBe(4);
  });
  test('is unknown where one of them took no part', () => {
    expect(timesBetter(scenarioOf({ ckptfs: [1] }), 'ckptfs', 'gpg')).toBeUndefined();
    expect(medianOf(undefined, 'ckptfs')).toBeUndefined();
  });
});
