import { describe, expect, test } from 'vitest';
import { invariant, isFailure } from '../../../src/base/assert.ts';
import { CkptfsError } from '../../../src/base/errors.ts';

describe('invariant', () => {
  test('does nothing where the condition holds', () => {
    expect(invariant(true, 'W1')).toBeUndefined();
  });

  test('throws an internal error that names the invariant and the facts', () => {
    const internal = (message: string): unknown => expect.objectContaining({ code: 'internal', message });
    expect(() => invariant(false, 'W7')).toThrow(internal('invariant W7 is broken'));
    expect(() => invariant(false, 'W7', { object: 3, chunk: 5 })).toThrow(
      internal('invariant W7 is broken: object 3, chunk 5'),
    );
  });
});

test('a broken invariant is no failure that a caller handles, as those of a store are', () => {
  expect(isFailure(new CkptfsError('io', 'cannot write'))).toBe(true);
  expect(isFailure(new CkptfsError('internal', 'invariant W7 is broken'))).toBe(false);
  expect(isFailure(new TypeError('no'))).toBe(false);
});
