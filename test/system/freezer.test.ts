// Goal: a daemon is not frozen together with the container that reads its mount.
// Method: real control groups of each hierarchy that this host has are frozen.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { ckptfs } from './support/ckptfs.ts';
import { makeGroup, removeGroup } from './support/control-groups.ts';
import {
  asNobody,
  ckptfsProgram,
  clear,
  type Encrypted,
  encryptInto,
  statusOf,
  withFuseForAll,
} from './support/mounts.ts';
import { PATIENCE } from './support/patience.ts';
import { runProgram } from './support/programs.ts';
import { describeIf, systemTest, toolEnvironment } from './support/requirements.ts';

/** How a group is frozen, in the hierarchies that this host has. */
const hierarchies = [
  {
    directory: '/sys/fs/cgroup/freezer',
    file: 'freezer.state',
    frozen: 'FROZEN',
    thawed: 'THAWED',
    root: /:freezer:\/$/m,
  },
  { directory: '/sys/fs/cgroup/unified', file: 'cgroup.freeze', frozen: '1', thawed: '0', root: /^0::\/$/m },
  { directory: '/sys/fs/cgroup', file: 'cgroup.freeze', frozen: '1', thawed: '0', root: /^0::\/$/m },
].filter(({ directory }) => fs.existsSync(join(directory, 'cgroup.procs')));
const base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-freezer-')));
const mountPoint = join(base, 'mnt');
let encrypted: Encrypted;

beforeAll(() => {
  fs.mkdirSync(join(base, 'source'));
  fs.mkdirSync(mountPoint);
  fs.writeFileSync(join(base, 'source', 'inventory.img'), 'contents');
  encrypted = encryptInto(base, join(base, 'source'));
});
afterEach(() => clear(mountPoint));
afterAll(() => fs.rmSync(base, { recursive: true }));

/** Runs a program in a group. */
function inGroup(group: string, ...command: readonly string[]) {
  const options = { env: toolEnvironment, encoding: 'utf8', timeout: PATIENCE } as const;
  return spawnSync('bash', ['-c', 'echo $$ > "$0/cgroup.procs"; exec "$@"', group, ...command], options);
}

for (const { directory, file, frozen, thawed, root } of hierarchies) {
  describeIf(['root', 'fuse'], `in a control group of ${directory}`, () => {
    let group: string;
    beforeAll(() => {
      group = makeGroup(directory);
    });
    afterAll(() => removeGroup(group));

    systemTest([], 'the daemon is not left in it, and serves while it is frozen', () => {
      const mount = ['mount', encrypted.image, mountPoint, '-k', encrypted.keyFile];
      expect(inGroup(group, ckptfsProgram, ...mount)).toMatchObject({ status: 0, stderr: '' });
      const pid = statusOf(mountPoint)?.pid;
      expect(fs.readFileSync(`/proc/${pid}/cgroup`, 'utf8')).toMatch(root);
      fs.writeFileSync(join(group, file), frozen);
      try {
        expect(runProgram('cat', join(mountPoint, 'inventory.img'))).toBe('contents');
      } finally {
        fs.writeFileSync(join(group, file), thawed);
      }
      ckptfs('umount', mountPoint);
    });

    systemTest(['fusermount', 'setpriv'], 'an ordinary user is warned, who may not leave it', async () => {
      const home = fs.mkdtempSync(join(base, 'home-'));
      fs.cpSync(encrypted.image, join(home, 'enc'), { recursive: true });
      fs.copyFileSync(encrypted.keyFile, join(home, 'key'));
      fs.mkdirSync(join(home, 'mnt'));
      fs.chmodSync(base, 0o755);
      runProgram('chown', '-R', '65534:65534', home);
      const [enc, key, mnt] = ['enc', 'key', 'mnt'].map((name) => join(home, name)) as [string, string, string];
      await withFuseForAll(() => {
        const mounted = inGroup(group, ...asNobody(home), ckptfsProgram, 'mount', enc, mnt, '-k', key);
        expect(mounted).toMatchObject({
          status: 0,
          stderr: expect.stringMatching(/^ckptfs: warning: .*--freeze-cgroup/),
        });
        expect(inGroup(group, ...asNobody(home), ckptfsProgram, 'umount', mnt).status).toBe(0);
      });
    });
  });
}
