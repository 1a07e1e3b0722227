import { spawnSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { hasFailed } from '../../../../src/base/linux/waiting.ts';

test('a descriptor has failed when nothing is at its other end, and not while it can be read or written', () => {
  const directory = mkdtempSync(join(tmpdir(), 'ckptfs-waiting-'));
  const path = join(directory, 'pipe');
  spawnSync('mkfifo', [path]);
  const reading = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const writing = openSync(path, constants.O_WRONLY);
  expect([hasFailed(reading), hasFailed(writing)]).toEqual([false, false]);
  closeSync(reading);
  expect(hasFailed(writing)).toBe(true);
  closeSync(writing);
  rmSync(directory, { recursive: true });
});
