import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';

const module = (path: string): string => JSON.stringify(new URL(`../../../../src/${path}`, import.meta.url).href);

/** Asks in a process in which descriptors for the pipes of a child are missing, and one for all else is not. */
const PROGRAM = `
  import { closeSync, openSync } from 'node:fs';
  import { checkKey } from ${module('serve/daemon/key-check.ts')};
  const check = { options: {}, directory: '/', directoryMark: '', environment: {}, timeoutSeconds: 1, shared: false };
  const request = { check, imageId: '${'0'.repeat(32)}', isCriu: false, path: '/enc', seconds: 1, after: 0 };
  const taken = [];
  try {
    for (;;) taken.push(openSync('/dev/null', 'r'));
  } catch {
    for (const fd of taken.splice(-3)) closeSync(fd);
  }
  const { verdict } = await checkKey(request, taken[0]);
  await new Promise((resolve) => setImmediate(resolve));
  process.stdout.write(verdict);
`;

test('a process without descriptors for a child hears nothing of the key, and goes on', () => {
  const words = ['-c', 'ulimit -n 256; exec "$0" "$@"', process.execPath, '--import', 'tsx', '--input-type=module'];
  expect(execFileSync('sh', [...words, '-e', PROGRAM], { encoding: 'utf8' })).toBe('unreachable');
});
