import { expect, test } from 'vitest';
import { errnoName, errnoNumber, isErrnoName } from '../../../src/base/errno.ts';
import { CkptfsError, ioError, ioErrorName, isFull, systemErrorName } from '../../../src/base/errors.ts';
import { systemError } from '../../../src/base/linux/system-error.ts';

/** A system error as Node's own functions throw it when libuv has no name for it. */
function unnamed(number: number): Error {
  const code = `Unknown system error -${number}`;
  return Object.assign(new Error(`${code}: ${code}, write`), { code, errno: -number, syscall: 'write' });
}

test.each([
  ['EDQUOT', 122],
  ['ESTALE', 116],
  ['EREMOTEIO', 121],
  ['EUCLEAN', 117],
  ['ENOMEDIUM', 123],
  ['ESHUTDOWN', 108],
  ['EHWPOISON', 133],
] as const)('%s is known by its number', (name, number) => {
  expect(errnoName(number)).toBe(name);
  expect(errnoNumber(name)).toBe(number);
  expect(systemErrorName(unnamed(number))).toBe(name);
  expect(systemErrorName(systemError('pwrite', number))).toBe(name);
  expect(ioErrorName(ioError('write', '/enc', unnamed(number)))).toBe(name);
  expect(ioError('write', '/enc', unnamed(number)).message).not.toContain('Unknown');
});

test('every number from 1 to 133 but the two that Linux does not use has a name that leads back to it', () => {
  for (let number = 1; number <= 133; number++) {
    const name = errnoName(number);
    expect(name === undefined, String(number)).toBe([41, 58].includes(number));
    if (name !== undefined) expect(errnoNumber(name)).toBe(number);
  }
});

test('what is no error of the system keeps the name that Node gave it', () => {
  expect(systemErrorName(Object.assign(new Error('x'), { code: 'ERR_INVALID_ARG_TYPE' }))).toBe('ERR_INVALID_ARG_TYPE');
  expect(systemErrorName(unnamed(4028))).toBe('Unknown system error -4028');
  expect(systemErrorName(new Error('x'))).toBeUndefined();
  expect(isErrnoName('ERR_INVALID_ARG_TYPE')).toBe(false);
});

test.each([
  ['ENOSPC', 28, true],
  ['EDQUOT', 122, true],
  ['EFBIG', 27, true],
  ['EIO', 5, false],
  ['EREMOTEIO', 121, false],
] as const)('whether %s (%i) counts as full: %s', (_name, number, full) => {
  expect(isFull(ioError('write', '/enc', unnamed(number)))).toBe(full);
  expect(isFull(new CkptfsError('internal', 'x', { cause: unnamed(number) }))).toBe(false);
});
