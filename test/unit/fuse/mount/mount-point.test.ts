import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { unmountExactly } from '../../../../src/fuse/mount/mount-point.ts';

test('what is unmounted lies where the path says, not where a link above it leads', () => {
  const base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-unmount-')));
  const mountPoint = join(base, 'real', 'mnt');
  fs.mkdirSync(mountPoint, { recursive: true });
  fs.symlinkSync('real', join(base, 'link'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4k', 'tmpfs', mountPoint]);
  const outside = fs.statSync(base).dev;
  try {
    expect(unmountExactly(join(base, 'link', 'mnt'), 0)).toBe(constants.errno.EXDEV);
    expect(unmountExactly(join(base, 'gone', 'mnt'), 0)).toBe(constants.errno.ENOENT);
    expect(unmountExactly(join(base, 'real'), 0)).toBe(constants.errno.EINVAL);
    expect(fs.statSync(mountPoint).dev).not.toBe(outside);
    expect(unmountExactly(mountPoint, 0)).toBe(0);
    expect(fs.statSync(mountPoint).dev).toBe(outside);
  } finally {
    if (fs.statSync(mountPoint).dev !== outside) execFileSync('umount', [mountPoint]);
    fs.rmSync(base, { recursive: true });
  }
});
