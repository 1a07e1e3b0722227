// Goal: a mount made by an ordinary user through fusermount3 serves that user alone.
// Method: programs of several users read a file system in memory through a real mount.
import { spawn } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest';
import { findMount, unmount } from '../../src/fuse/mount/mount-point.ts';
import { kill, opens } from './support/children.ts';
import { PatternDaemon } from './support/pattern-daemon.ts';
import {
  base,
  check,
  clearMounts,
  makeMountPoint,
  mount,
  mountPoint,
  nobody,
  readChecks,
} from './support/pattern-mounts.ts';
import { runProgram } from './support/programs.ts';
import { describeIf, systemTest } from './support/requirements.ts';

const project = fileURLToPath(new URL('../..', import.meta.url));

beforeEach(makeMountPoint);
afterEach(clearMounts);

describeIf(['root', 'fuse', 'python', 'fusermount', 'setpriv'], 'mounted by an ordinary user', () => {
  let copy: string;
  let program: string;
  let deviceMode: number;

  beforeAll(() => {
    // The checkout may lie where an ordinary user cannot read it.
    copy = mkdtempSync(join(tmpdir(), 'fuse-kernel-copy-'));
    chmodSync(copy, 0o755);
    for (const part of ['dist', 'package.json', 'node_modules/koffi', 'node_modules/@koromix', 'test/system/support']) {
      cpSync(join(project, part), join(copy, part), { recursive: true });
    }
    program = join(copy, 'test/system/support/pattern-daemon.mjs');
    deviceMode = statSync('/dev/fuse').mode & 0o777;
    chmodSync('/dev/fuse', 0o666);
  });

  afterAll(() => {
    chmodSync('/dev/fuse', deviceMode);
    rmSync(copy, { recursive: true });
  });

  beforeEach(() => {
    for (const path of [base, mountPoint]) runProgram('chown', String(nobody), path);
  });

  const user = () => ({ uid: nobody, program });

  systemTest([], 'clients read what the file system has', async () => {
    const daemon = await mount(mountPoint, { user: user() });
    for (const name of [...readChecks, 'refusals']) check(name, mountPoint, nobody);
    expect(await findMount(mountPoint)).toMatchObject({ fsType: 'fuse.ckptfs', source: '/some, odd\\source' });
    expect(() => check('reading', mountPoint)).toThrow(/PermissionError/);
    await daemon.unmount();
  });

  for (const name of ['with space', 'comma,rw,"quote"', 'back\\slash']) {
    systemTest([], `a mount point called ${JSON.stringify(name)}`, async () => {
      const odd = join(base, name);
      mkdirSync(odd);
      runProgram('chown', String(nobody), odd);
      const daemon = await mount(odd, { user: user() });
      check('reading', odd, nobody);
      await daemon.unmount();
    });
  }

  systemTest([], 'a busy mount is not unmounted for its user, and root unmounts it when it is free', async () => {
    const daemon = await mount(mountPoint, { user: user() });
    const holder = spawn('setpriv', [
      `--reuid=${nobody}`,
      `--regid=${nobody}`,
      '--clear-groups',
      'sh',
      '-c',
      `exec sleep 60 < ${mountPoint}/small`,
    ]);
    await opens(holder, mountPoint, 'small');
    await expect(daemon.unmount()).rejects.toThrow('"error":"busy"');
    await kill(holder);
    await unmount(mountPoint);
    expect(await daemon.exited).toBe(0);
  });

  systemTest([], 'allow_other is refused as a right that the host does not give', async () => {
    // The host of this test may give it.
    const hide = '[ ! -e /etc/fuse.conf ] || mount --bind /dev/null /etc/fuse.conf; exec "$@"';
    const within = ['unshare', '--mount', 'sh', '-c', hide, 'sh'];
    const setup = { user: user(), within, options: { allowOther: true } };
    expect(await PatternDaemon.refusal(mountPoint, setup)).toMatchObject({
      error: 'missing-feature',
      data: { feature: 'user-allow-other' },
    });
  });

  systemTest([], 'a device that this user may not open is named', async () => {
    chmodSync('/dev/fuse', 0o600);
    try {
      expect(await PatternDaemon.refusal(mountPoint, { user: user() })).toMatchObject({
        error: 'missing-feature',
        data: { feature: 'fuse-device-access' },
      });
    } finally {
      chmodSync('/dev/fuse', 0o666);
    }
  });

  systemTest([], 'a directory of another user is refused', async () => {
    runProgram('chown', '0', mountPoint);
    expect(await PatternDaemon.refusal(mountPoint, { user: user() })).toMatchObject({
      error: 'mount-failed',
      message: expect.stringContaining('write access'),
    });
  });
});
