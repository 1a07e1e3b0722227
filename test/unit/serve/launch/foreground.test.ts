// Goal: a child that unlocks a key for a daemon in the foreground notices that the daemon is no longer its parent.
import { afterEach, expect, test } from 'vitest';
import { isUnlocker } from '../../../../src/serve/launch/foreground.ts';

const MARK = 'CKPTFS_UNLOCK_FOR';

afterEach(() => {
  delete process.env[MARK];
});

test('a command that a user started is not such a child', () => {
  expect(isUnlocker()).toBe(false);
});

test.each([1, process.ppid])('a child whose daemon was killed does not become a daemon (%i)', (pid) => {
  process.env[MARK] = String(pid);
  expect(isUnlocker).toThrow(expect.objectContaining({ code: 'interrupted' }));
  expect(process.env[MARK]).toBe(undefined);
});
