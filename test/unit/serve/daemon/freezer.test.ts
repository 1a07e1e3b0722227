import { expect, test } from 'vitest';
import { freezersOf } from '../../../../src/serve/daemon/freezer.ts';

const mountinfo = [
  '30 20 0:26 / /sys/fs/cgroup/freezer rw,relatime - cgroup cgroup rw,freezer',
  '31 20 0:27 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids',
  '32 20 0:28 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw',
].join('\n');

test.each<[string, string, ReturnType<typeof freezersOf>]>([
  ['the roots', '6:freezer:/\n8:pids:/a\n0::/\n', []],
  ['a group of version 1', '6:freezer:/a/b\n', [{ path: '/a/b', hierarchy: '/sys/fs/cgroup/freezer' }]],
  ['a container of version 2', '0::/docker/0123\n', [{ path: '/docker/0123', hierarchy: '/sys/fs/cgroup/unified' }]],
  [
    'a container that systemd knows',
    '0::/machine.slice/libpod-01.scope/container\n',
    [{ path: '/machine.slice/libpod-01.scope/container', hierarchy: '/sys/fs/cgroup/unified' }],
  ],
  ['a service', '0::/system.slice/ckptfs.service\n', []],
  ['a line of fstab', '0::/system.slice/mnt-cr.mount\n', []],
  ['a session', '0::/user.slice/user-0.slice/session-1.scope\n', []],
  ["a user's program", '0::/user.slice/user-1.slice/user@1.service/app.slice/app-a.scope\n', []],
  ['nothing', '', []],
])('finds the groups that may be frozen: %s', (_, cgroup, expected) => {
  expect(freezersOf({ cgroup, mountinfo })).toEqual(expected);
});

test('a hierarchy that is not mounted has no mount point', () => {
  expect(freezersOf({ cgroup: '6:freezer:/a\n', mountinfo: '' })).toEqual([{ path: '/a', hierarchy: '' }]);
});
