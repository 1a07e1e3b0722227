import { afterEach, expect, test } from 'vitest';
import { isUnlocker } from '../../../../src/serve/launch/foreground.ts';

/** The child that unlocks a key for a daemon in the foreground, when that daemon is not its parent any more. */

const MARK = 'CKPTFS_UNLOCK_FOR';

afterEach(() => {
  delete process.env[MARK];
});

test('a command that was started by a user unlocks for no daemon', () => {
  expect(isUnlocker()).toBe(false);
});

test.each([1, process.ppid])('a child whose daemon was killed becomes no daemon itself (%i)', (pid) => {
  process.env[MARK] = String(pid);
  expect(isUnlocker).toThrow(expect.objectContaining({ code: 'interrupted' }));
  expect(process.env[MARK]).toBe(undefined);
});
