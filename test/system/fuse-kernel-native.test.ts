// Goal: the second transport, fuse-native, serves as the kernel transport does.
// Method: programs read a file system in memory, whose bytes follow a pattern, through a real mount.
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect } from 'vitest';
import { findMount, unmount } from '../../src/fuse/mount/mount-point.ts';
import { base, check, clearMounts, makeMountPoint, mount, mountPoint, rootNeeds } from './support/pattern-mounts.ts';
import { describeIf, systemTest } from './support/requirements.ts';

beforeEach(makeMountPoint);
afterEach(clearMounts);

describeIf([...rootNeeds, 'fuseNative', 'fusermount'], 'mounted through fuse-native', () => {
  const setup = { transport: 'fuse-native' } as const;

  for (const name of [
    'reading',
    'mapping',
    'copying',
    'direct',
    'extended',
    'seeking_directories',
    'refusals',
    'faults',
  ]) {
    systemTest([], `clients: ${name}`, async () => {
      const daemon = await mount(mountPoint, setup);
      check(name, mountPoint);
      check(name, mountPoint);
      await daemon.unmount();
    });
  }

  for (const name of ['with space', '$(touch injected) "quote"']) {
    systemTest([], `a mount point called ${JSON.stringify(name)}, unmounted from outside`, async () => {
      const odd = join(base, name);
      mkdirSync(odd);
      const daemon = await mount(odd, setup);
      expect(await findMount(odd)).toMatchObject({
        source: '/some, odd\\source',
        options: expect.arrayContaining(['ro', 'nosuid', 'nodev', 'default_permissions']),
      });
      check('reading', odd);
      await unmount(odd);
      expect(await daemon.exited).toBe(0);
    });
  }

  systemTest([], 'a busy mount is not unmounted; a killed daemon leaves a mount that can be cleared', async () => {
    const daemon = await mount(mountPoint, setup);
    const fd = openSync(join(mountPoint, 'small'), 'r');
    await expect(unmount(mountPoint)).rejects.toMatchObject({ code: 'busy' });
    closeSync(fd);
    daemon.process.kill('SIGKILL');
    await daemon.exited;
    await unmount(mountPoint);
  });
});
