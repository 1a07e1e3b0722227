import { describe, expect, test } from 'vitest';
import { CkptfsError, fromPlainError, ioError, isPlainError, toPlainError } from '../../../src/base/errors.ts';

/** What another process reads. */
function sent(error: unknown): unknown {
  return JSON.parse(JSON.stringify(toPlainError(error)));
}

test('the code tells which data there is', () => {
  const error: CkptfsError = new CkptfsError('locked', 'x', { data: { holder: 'readers', wanted: 'writing' } });
  // The compiler knows the members of `data` in each branch; this is what it must accept.
  const told = error instanceof CkptfsError && error.code === 'locked' ? error.data?.holder : undefined;
  expect(told).toBe('readers');
  // @ts-expect-error: an error with this code must say why
  expect(new CkptfsError('locked', 'x').data).toBeUndefined();
  // @ts-expect-error: this reason is not one of the code
  expect(new CkptfsError('busy', 'x', { data: { reason: 'device' } }).code).toBe('busy');
});

test('another message keeps code, data, path and what is left', () => {
  const aftermath = { state: 'unsealed', image: '/enc' } as const;
  const error = ioError('write', '/enc/journal', Object.assign(new Error(), { errno: -28, code: 'ENOSPC' }));
  const reworded = error.reworded('could not', { aftermath });
  const again = reworded.reworded('really not', { path: '/enc' });
  expect(again).toMatchObject({
    code: 'io',
    message: 'really not',
    path: '/enc',
    data: { errno: 'ENOSPC' },
    aftermath,
  });
  expect([again.cause, reworded.cause, reworded.path]).toEqual([reworded, error, '/enc/journal']);
});

describe('an error of another process', () => {
  test.each([
    new CkptfsError('damaged', 'x'),
    new CkptfsError('io', 'x', { path: '/p', data: { errno: 'EIO' } }),
    new CkptfsError('unsealed', 'x', { data: { reason: 'daemon-killed', source: '/enc' } }),
    new CkptfsError('no-answer', 'x', { data: { reason: 'daemon-stopped', write: false } }),
    new CkptfsError('internal', 'x', { aftermath: { state: 'unsealed', image: '/enc', lossy: true } }),
  ])('has the facts of the first: %#', (error) => {
    const plain = sent(error);
    if (!isPlainError(plain)) throw new Error('not believed');
    const { code, message, path, data, aftermath } = fromPlainError(plain);
    expect({ code, message, path, data, aftermath }).toEqual({ ...error, name: undefined, message: error.message });
  });

  test('is `internal` when it is not a CkptfsError', () => {
    expect(sent(new TypeError('x'))).toMatchObject({ code: 'internal', message: 'x' });
    expect(sent('x')).toEqual({ code: 'internal', message: 'x' });
  });

  test.each([
    ['not an object', 'no'],
    ['without what must be there', { holder: 'writer' }],
    ['with an unknown word', { holder: 'writer', wanted: 'selling' }],
    ['with a word of the wrong type', { holder: 7, wanted: 'reading' }],
    ['with what objects inherit', Object.create({ holder: 'writer', wanted: 'reading' })],
    ['null', null],
  ])('has no data where they are %s', (_, data) => {
    expect(fromPlainError({ code: 'locked', message: 'x', data })).toMatchObject({ code: 'locked', data: undefined });
  });

  test('has only the data of its code', () => {
    const more = { reason: 'in-use', advice: 'run this', __proto__: { polluted: true } };
    expect(fromPlainError({ code: 'busy', message: 'x', data: more }).data).toEqual({ reason: 'in-use' });
    expect(fromPlainError({ code: 'damaged', message: 'x', data: { reason: 'in-use' } }).data).toBeUndefined();
    const { aftermath } = fromPlainError({ code: 'io', message: 'x', aftermath: { state: 'gone', image: '/enc' } });
    expect(aftermath).toBeUndefined();
  });

  test('of an older version has its message and no data', () => {
    const older = { code: 'busy', message: 'in use', advice: 'End it.', path: '/mnt' };
    expect(isPlainError(older)).toBe(true);
    expect(fromPlainError(older as never)).toMatchObject({ message: 'in use', path: '/mnt', data: undefined });
  });

  test.each([
    ['text', 'x'],
    ['nothing', null],
    ['no message', { code: 'io' }],
    ['an unknown code', { code: 'constructor', message: 'x' }],
    ['a path that is a number', { code: 'io', message: 'x', path: 1 }],
    ['a stack that is a list', { code: 'io', message: 'x', stack: [] }],
  ])('is not taken for one: %s', (_, value) => {
    expect(isPlainError(value)).toBe(false);
  });
});
