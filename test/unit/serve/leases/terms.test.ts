import { expect, test } from 'vitest';
import { type KeyCheck, type LeaseTerms, mayLock, sharedName } from '../../../../src/serve/leases/terms.ts';

const check: KeyCheck = {
  options: { key: ['cmd:get'], keyTimeout: 30 },
  directory: '/srv',
  directoryMark: '1 of 0',
  environment: { A: '1', B: '2' },
  timeoutSeconds: 30,
  shared: true,
};
const imageId = '00'.repeat(16);

test('a name is that of one image, and of one way to open it', () => {
  const name = sharedName(imageId, check);
  expect(name).toMatch(/^0{32}-[0-9a-f]{32}$/);
  const same = {
    ...check,
    options: { keySlot: undefined, keyTimeout: 30, key: ['cmd:get'] },
    environment: { B: '2', A: '1' },
  };
  expect(sharedName(imageId, same)).toBe(name);
  const others = [
    sharedName('01'.repeat(16), check),
    sharedName(imageId, { ...check, options: { key: ['cmd:other'], keyTimeout: 30 } }),
    sharedName(imageId, { ...check, options: { ...check.options, keySlot: '2' } }),
    sharedName(imageId, { ...check, directory: '/' }),
    sharedName(imageId, { ...check, environment: {} }),
  ];
  expect(new Set([name, ...others]).size).toBe(6);
});

test.each([
  [{ seconds: 60 }, true],
  [{ seconds: 60, onRevoked: 'lock' }, true],
  [{ seconds: 60, onRevoked: 'unmount' }, false],
  [{ seconds: 60, onRevoked: 'keep', onUnreachable: 'lock' }, true],
  [{}, false],
] as const)('a mount with %j may be locked: %s', (terms, expected) => {
  expect(mayLock({ onUnreachable: 'keep', check, ...terms } satisfies LeaseTerms)).toBe(expected);
  expect(mayLock(undefined)).toBe(false);
});
