import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { findLog, openLog } from '../../../../src/serve/handover/log-file.ts';

const directory = fs.mkdtempSync(join(tmpdir(), 'ckptfs-log-file-'));
afterAll(() => fs.rmSync(directory, { recursive: true }));

test('a log is a file of this user or a device: another user can neither read it nor lead it elsewhere', () => {
  const path = (name: string): string => join(directory, name);
  spawnSync('mkfifo', [path('fifo')]);
  fs.symlinkSync(path('anything'), path('link'));
  fs.writeFileSync(path('theirs'), '', { mode: 0o666 });
  fs.chownSync(path('theirs'), 65534, 65534);
  fs.mkdirSync(path('directory'));
  for (const name of ['fifo', 'link', 'theirs', 'directory']) {
    const refusal = expect.objectContaining({ code: 'io' });
    expect(() => findLog('00'.repeat(16), path(name)), name).toThrow(refusal);
    expect(() => openLog(path(name)), name).toThrow(refusal);
  }
  for (const name of [path('new'), path('new'), '/dev/null']) {
    expect(findLog('00'.repeat(16), name)).toBe(name);
    fs.closeSync(openLog(name));
  }
  expect(fs.statSync(path('new')).mode & 0o777).toBe(0o600);
  expect(fs.existsSync(path('anything'))).toBe(false);
});
