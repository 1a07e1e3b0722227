// Goal: mode and owner of the root directory, which decide who else than root gets into a mount, can be chosen.
// Method: real mounts of new and sealed images, with the option and without.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, expect } from 'vitest';
import { WritableMount } from '../support/writable-mount.ts';
import { ckptfs, isMounted, runCkptfs } from './support/ckptfs.ts';
import { PATIENCE } from './support/patience.ts';
import { describeIf, systemTest } from './support/requirements.ts';

describeIf(['root', 'fuse'], 'the root directory of a mount', () => {
  const base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-root-mode-')));
  fs.chmodSync(base, 0o755);
  let mount: WritableMount;
  let count = 0;
  beforeEach(() => {
    const directory = join(base, String(count++));
    fs.mkdirSync(directory);
    mount = new WritableMount(directory);
  });
  afterEach(() => {
    mount.discard();
    if (isMounted(mount.mountPoint)) ckptfs('umount', mount.mountPoint);
  });
  afterAll(() => fs.rmSync(base, { recursive: true }));

  const rootOf = (): readonly [mode: string, uid: number, gid: number] => {
    const { mode, uid, gid } = fs.statSync(mount.mountPoint);
    return [(mode & 0o7777).toString(8), uid, gid];
  };
  const mountSealed = (...options: readonly string[]): void => {
    ckptfs('mount', mount.image, mount.mountPoint, '--key-file', mount.keyFile, ...options);
  };
  /** Reads as root of a user namespace whose every id is another outside: on the mount that is one of the others. */
  const readAsStranger = (): string => {
    const ids = { uid: 65534, gid: 65534 };
    const read = ['unshare', '--user', '--map-root-user', 'cat', join(mount.mountPoint, 'pages-1.img')];
    return execFileSync(read[0] as string, read.slice(1), {
      ...ids,
      encoding: 'utf8',
      stdio: 'pipe',
      timeout: PATIENCE,
    });
  };

  systemTest([], 'of a new image is like the mount point, and is sealed like that', () => {
    fs.chownSync(mount.mountPoint, 12, 34);
    fs.chmodSync(mount.mountPoint, 0o2751);
    mount.mount('--allow-other');
    expect(rootOf()).toEqual(['2751', 12, 34]);
    fs.writeFileSync(join(mount.mountPoint, 'pages-1.img'), 'pages', { mode: 0o644 });
    expect(readAsStranger()).toBe('pages');
    mount.unmount();
    mountSealed('--allow-other');
    expect(rootOf()).toEqual(['2751', 12, 34]);
    expect(readAsStranger()).toBe('pages');
  });

  systemTest([], 'of a new image lets its owner do everything, whatever the mount point does', () => {
    fs.chmodSync(mount.mountPoint, 0);
    mount.mount();
    expect(rootOf()).toEqual(['700', 0, 0]);
    mount.unmount();
  });

  systemTest(
    [],
    'that is closed in an image is opened by root_mode: for one mount that reads, for ever by one that writes',
    () => {
      mount.mount('--root-mode', '0700', '--allow-other');
      expect(rootOf()).toEqual(['700', 0, 0]);
      fs.writeFileSync(join(mount.mountPoint, 'pages-1.img'), 'pages', { mode: 0o644 });
      expect(readAsStranger).toThrow(/Permission denied/);
      mount.unmount();

      mountSealed('--allow-other', '-o', 'root_mode=0755');
      expect(rootOf()).toEqual(['755', 0, 0]);
      expect(readAsStranger()).toBe('pages');
      ckptfs('umount', mount.mountPoint);
      mountSealed('--allow-other', '--scratch', '--root-mode', '711');
      expect(rootOf()).toEqual(['711', 0, 0]);
      ckptfs('umount', mount.mountPoint);
      mountSealed('--allow-other');
      expect(rootOf()).toEqual(['700', 0, 0]);
      ckptfs('umount', mount.mountPoint);

      mount.mount('-o', 'root_mode=1777');
      expect(rootOf()).toEqual(['1777', 0, 0]);
      mount.unmount();
      mountSealed();
      expect(rootOf()).toEqual(['1777', 0, 0]);
    },
  );

  systemTest([], 'has a mode in octal', () => {
    for (const mode of ['755x', '8', '17777', 'u+x']) {
      const { status, stderr } = runCkptfs('mount', mount.image, mount.mountPoint, '--root-mode', mode);
      expect([status, stderr]).toEqual([2, expect.stringContaining('it is a mode in octal, such as 0755')]);
    }
  });
});
