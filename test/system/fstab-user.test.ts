// Goal: an ordinary user mounts and unmounts by a line of fstab what that line allows.
// Method: the real mount(8), umount(8) and fusermount3, in a mount namespace with other files in /etc.
import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { asNobody, ckptfsProgram, encryptInto, withFuseForAll } from './support/mounts.ts';
import { PATIENCE } from './support/patience.ts';
import { runProgram } from './support/programs.ts';
import { describeIf, toolEnvironment } from './support/requirements.ts';

const scripts = fileURLToPath(new URL('../../scripts/', import.meta.url));
const base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-fstab-')));
const at = (name: string): string => join(base, name);
const mountPoint = at('mnt');

beforeAll(() => {
  fs.chmodSync(base, 0o755);
  for (const name of ['source', 'etc', 'sbin', 'mnt']) fs.mkdirSync(at(name), { mode: 0o755 });
  fs.writeFileSync(at('source/core-1.img'), 'core', { mode: 0o644 });
  fs.writeFileSync(at('source/program'), '#!/bin/sh\necho ran\n', { mode: 0o755 });
  fs.writeFileSync(at('etc/fuse.conf'), '#user_allow_other\n');
  for (const helper of ['mount.fuse.ckptfs', 'umount.fuse.ckptfs'])
    fs.symlinkSync(join(scripts, helper), at(`sbin/${helper}`));
  fs.symlinkSync(process.execPath, at('sbin/node'));
  runProgram('chown', '65534:65534', at('source'));
  encryptInto(base, at('source'));
  runProgram('chown', '-R', '65534:65534', at('enc'), at('key'), mountPoint);
});
afterAll(() => fs.rmSync(base, { recursive: true }));

/** Runs a line of shell as the user `nobody`, with the given options in fstab. */
async function asUser(options: string, line: string): Promise<SpawnSyncReturns<string>> {
  fs.writeFileSync(
    at('etc/fstab'),
    `${at('enc')} ${mountPoint} fuse.ckptfs noauto,${options},key_file=${at('key')} 0 0\n`,
  );
  const prepare = `
    sbin=$(readlink -f /sbin)
    mount -t overlay -o lowerdir=${at('etc')}:/etc overlay /etc && mount -t overlay -o lowerdir=${at('sbin')}:$sbin overlay $sbin && exec "$@"`;
  const user = [...asNobody(base), 'sh', '-c', `cd ${base}; ${line}`];
  return withFuseForAll(() =>
    spawnSync('unshare', ['--mount', '--propagation', 'private', 'bash', '-c', prepare, 'bash', ...user], {
      encoding: 'utf8',
      env: toolEnvironment,
      timeout: PATIENCE,
    }),
  );
}

const use = `mount mnt && cat mnt/core-1.img && { mnt/program; grep -o '[^ ]* - fuse.ckptfs' /proc/self/mountinfo; umount mnt; }`;

describeIf(['root', 'fuse', 'fusermount', 'namespaces', 'setpriv'], 'a line of fstab', () => {
  test.each(['user', 'users'])(
    'with the option %s lets a user mount and unmount, but run no programs from there',
    async (option) => {
      const { status, stdout, stderr } = await asUser(option, use);
      expect([status, stdout]).toEqual([0, expect.stringMatching(/^corero,nosuid,nodev,noexec\S* - fuse.ckptfs\n$/)]);
      expect(stderr).toMatch(/program: Permission denied/);
    },
  );

  test.each(['user,exec', 'owner', 'group'])(
    'with the options %s lets a user mount, unmount and run programs from there',
    async (option) => {
      const { status, stdout, stderr } = await asUser(option, use);
      expect([status, stderr]).toEqual([0, '']);
      expect(stdout).toMatch(/^coreran\nro,nosuid,nodev,(?!noexec)\S* - fuse.ckptfs\n$/);
    },
  );

  test('makes a mount that is sealed when it is unmounted, by ckptfs or by umount', async () => {
    const line = (unmount: string): string =>
      `mount mnt && echo more >>mnt/more && ${unmount} mnt && '${ckptfsProgram}' cat enc more -k key`;
    for (const [unmount, content] of [
      [`'${ckptfsProgram}' umount`, 'more\n'],
      ['umount', 'more\nmore\n'],
    ] as const)
      expect(await asUser('user,write', line(unmount))).toMatchObject({ status: 0, stdout: content, stderr: '' });
  });
});

describeIf(
  ['root', 'fuse', 'fusermount', 'namespaces', 'setpriv'],
  'without user_allow_other in /etc/fuse.conf',
  () => {
    test.each(['--allow-other', '--allow-root'])('%s names what an ordinary user needs', async (option) => {
      const { status, stderr } = await asUser('user', `'${ckptfsProgram}' mount enc mnt -k key ${option}`);
      expect([status, stderr]).toEqual([
        33,
        expect.stringContaining('add the line user_allow_other to /etc/fuse.conf'),
      ]);
    });

    test('doctor names it as well', async () => {
      const { stdout } = await asUser('user', `'${ckptfsProgram}' doctor`);
      expect(stdout).toMatch(/warn +user_allow_other: .*--allow-other and --allow-root/);
    });
  },
);

describeIf(['root', 'fuse', 'fusermount', 'namespaces', 'setpriv'], 'with user_allow_other in /etc/fuse.conf', () => {
  test('--allow-root lets root in', async () => {
    fs.writeFileSync(at('etc/fuse.conf'), 'user_allow_other\n');
    const line = `'${ckptfsProgram}' mount enc mnt -k key --allow-root && cat mnt/core-1.img && '${ckptfsProgram}' umount mnt`;
    expect(await asUser('user', line)).toMatchObject({ status: 0, stdout: 'core', stderr: '' });
  });
});
