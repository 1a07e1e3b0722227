import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { tryLock } from '../../../src/base/linux/files.ts';
import { holdersIn, lockHolders } from '../../../src/stores/lock-holders.ts';

const locks = `1: FLOCK  ADVISORY  READ  300 fe:00:77 0 EOF
1: -> FLOCK  ADVISORY  WRITE 301 fe:00:77 0 EOF
2: POSIX  ADVISORY  READ 302 fe:00:77 0 EOF
3: FLOCK  ADVISORY  READ  20 fe:00:77 0 EOF
4: FLOCK  ADVISORY  READ  0 fe:00:77 0 EOF
5: FLOCK  ADVISORY  READ  -1 fe:00:77 0 EOF
6: FLOCK  ADVISORY  READ  304 fe:00:770 0 EOF
7: FLOCK  ADVISORY  WRITE 305 fe:01:77 0 EOF
`;

test('holders are found by device and inode, without waiting processes, other kinds of locks, and unknown pids', () => {
  expect(holdersIn(locks, 'fe:00:77')).toEqual({ shared: [20, 300], exclusive: [] });
  expect(holdersIn(locks, 'fe:01:77')).toEqual({ shared: [], exclusive: [305] });
  expect(holdersIn('', 'fe:00:77')).toEqual({ shared: [], exclusive: [] });
});

test('the kernel names this process as the holder of its own lock', () => {
  const place = fs.mkdtempSync(join(tmpdir(), 'ckptfs-locks-'));
  const fd = fs.openSync(place, 'r');
  try {
    expect(lockHolders(fd)).toEqual({ shared: [], exclusive: [] });
    tryLock(fd, 'exclusive');
    expect(lockHolders(fd)).toEqual({ shared: [], exclusive: [process.pid] });
  } finally {
    fs.closeSync(fd);
    fs.rmdirSync(place);
  }
});
