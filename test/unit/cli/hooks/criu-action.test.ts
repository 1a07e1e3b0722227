import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { checkCriuAction } from '../../../../src/cli/hooks/criu-action.ts';

const DIRECTORY = 'CRTOOLS_IMAGE_DIR';
/** A directory that is neither on a mount of ckptfs nor in memory. */
const ELSEWHERE = '/proc/self';

beforeEach(() => vi.stubEnv(DIRECTORY, ELSEWHERE));
afterEach(() => vi.unstubAllEnvs());

test.each([
  ['pre-dump', 'the dump is refused'],
  ['pre-restore', 'the restore is refused'],
  ['status-ready', 'the server of pages is refused'],
])('%s is refused for a directory that nothing protects', async (action, message) => {
  const expected = { code: 'not-mounted', message: expect.stringContaining(message) };
  await expect(checkCriuAction(action)).rejects.toMatchObject(expected);
});

test.each(['post-dump', 'post-restore', 'post-resume', 'what-is-new'])('%s is let pass', async (action) => {
  await checkCriuAction(action);
});

test('a directory in memory is allowed', async () => {
  vi.stubEnv(DIRECTORY, '/dev');
  await checkCriuAction('pre-dump');
});

test.each([
  ['', 'bad-argument'],
  ['/no/such/directory', 'io'],
])('the directory %j is refused', async (directory, code) => {
  vi.stubEnv(DIRECTORY, directory);
  await expect(checkCriuAction('pre-dump')).rejects.toMatchObject({ code });
});
