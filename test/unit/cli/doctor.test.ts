import { describe, expect, test } from 'vitest';
import { CkptfsError } from '../../../src/base/errors.ts';
import type { Finding } from '../../../src/cli/doctor/check.ts';
import { criuFindings } from '../../../src/cli/doctor/criu.ts';
import { reasonIn } from '../../../src/cli/doctor/criu-trial.ts';
import { type Host, thisHost } from '../../../src/cli/doctor/host.ts';
import { machineFindings } from '../../../src/cli/doctor/machine.ts';
import { memoryFindings } from '../../../src/cli/doctor/memory.ts';
import { mountingFindings } from '../../../src/cli/doctor/mounting.ts';
import { programFindings } from '../../../src/cli/doctor/programs.ts';
import { hintFor } from '../../../src/cli/hints.ts';

interface Described {
  readonly isRoot?: boolean;
  readonly files?: Readonly<Record<string, string>>;
  readonly directories?: Readonly<Record<string, readonly string[]>>;
  readonly links?: Readonly<Record<string, string>>;
  readonly programs?: Readonly<Record<string, string>>;
  readonly below?: string;
  readonly keptCriu?: string;
  readonly canOpen?: boolean;
  readonly tracksWrites?: boolean;
}

/** A host that is not this one: swap, kernels and users that a test cannot make. */
function host(described: Described): Host {
  const { isRoot = true, files = {}, directories = {}, links = {}, programs = {}, below } = described;
  return {
    isRoot,
    keptCriu: described.keptCriu,
    canOpen: () => described.canOpen ?? false,
    tracksWrites: () => described.tracksWrites ?? false,
    readFile: (path) => files[path],
    names: (directory) => directories[directory] ?? [],
    exists: (path) => path in files,
    mayReadAndWrite: (path) => files[path] === 'open',
    link: (path) => links[path],
    deviceBelow: () => below,
    program: (name) => (name in programs ? `/usr/bin/${name}` : undefined),
    output: (path) => programs[path.slice('/usr/bin/'.length)],
  };
}

function level(findings: readonly Finding[], subject: string): string | undefined {
  return findings.find((finding) => finding.subject.startsWith(subject))?.level;
}

describe('mounting', () => {
  const fuse = { '/dev/fuse': 'open', '/proc/filesystems': 'nodev\tfuse\nnodev\toverlay\n' };

  test('all there', () => {
    const findings = mountingFindings(
      host({
        isRoot: false,
        files: { ...fuse, '/etc/fuse.conf': '# x\nuser_allow_other\n' },
        programs: { fusermount3: '' },
      }),
    );
    expect(findings.map((finding) => finding.level)).toEqual(['ok', 'ok', 'ok', 'ok']);
  });

  test('what is missing for whom', () => {
    expect(level(mountingFindings(host({})), '/dev/fuse')).toBe('missing');
    expect(level(mountingFindings(host({ files: { ...fuse, '/dev/fuse': 'closed' } })), '/dev/fuse')).toBe('missing');
    expect(
      level(
        mountingFindings(host({ files: { '/dev/fuse': 'open', '/proc/filesystems': 'nodev\tfusectl\n' } })),
        '/dev/fuse',
      ),
    ).toBe('missing');
    expect(level(mountingFindings(host({ files: fuse })), 'fusermount3')).toBe('warn');
    expect(level(mountingFindings(host({ files: fuse, isRoot: false })), 'fusermount3')).toBe('missing');
    expect(level(mountingFindings(host({ files: fuse, isRoot: false })), 'user_allow_other')).toBe('warn');
    expect(
      level(
        mountingFindings(host({ files: { ...fuse, '/etc/fuse.conf': '#user_allow_other' }, isRoot: false })),
        'user_allow_other',
      ),
    ).toBe('warn');
    expect(level(mountingFindings(host({ files: { '/proc/filesystems': 'ext4\n' } })), 'overlayfs')).toBe('warn');
  });

  test('a mount that was tried says more than looking does', () => {
    const all = host({ files: fuse });
    expect(mountingFindings(all, { protocol: '7.45' })[0]).toEqual({
      level: 'ok',
      subject: '/dev/fuse',
      found: 'a mount was tried and works; FUSE 7.45',
    });
    const failure = new CkptfsError('missing-feature', 'cannot open /dev/fuse: EACCES', {
      data: { feature: 'fuse-device-access' },
    });
    expect(mountingFindings(all, { failure })[0]).toEqual({
      level: 'missing',
      subject: '/dev/fuse',
      found: 'cannot open /dev/fuse: EACCES',
      advice: hintFor(failure),
    });
    expect(mountingFindings(host({}), { failure })[0]?.found).toBe('does not exist');
  });

  test('everything that is not ok says how to get it', async () => {
    const findings = [
      ...mountingFindings(host({ isRoot: false })),
      ...programFindings('v18.0.0', 'node'),
      ...(await criuFindings(host({}), undefined)),
      ...machineFindings(host({})),
    ];
    for (const { level: found, advice } of findings) if (found !== 'ok') expect(advice).toMatch(/\w{3}/);
  });
});

describe('swap', () => {
  const swaps = (line: string) => `Filename\tType\tSize\tUsed\tPriority\n${line}\t1024\t0\t-2\n`;
  const swap = (line: string, described: Described = {}): string | undefined =>
    level(memoryFindings(host({ ...described, files: { ...described.files, '/proc/swaps': swaps(line) } })), 'swap');
  const luks = { '/sys/class/block/dm-0/dm/uuid': 'CRYPT-LUKS2-1234\n' };

  test('none', () => {
    expect(level(memoryFindings(host({ files: { '/proc/swaps': 'Filename Type\n' } })), 'swap')).toBe('ok');
  });

  test('on disks in clear', () => {
    expect(swap('/dev/sda2 partition')).toBe('warn');
    expect(swap('/dev/dm-1 partition', { files: { '/sys/class/block/dm-1/dm/uuid': 'LVM-abc' } })).toBe('warn');
    expect(swap('/swapfile file', { below: 'sda1' })).toBe('warn');
    expect(swap('/swapfile file')).toBe('warn');
    expect(swap('/dev/zram0 partition', { files: { '/sys/class/block/zram0/backing_dev': '/dev/sda3\n' } })).toBe(
      'warn',
    );
  });

  test('encrypted, or memory itself', () => {
    expect(swap('/dev/dm-0 partition', { files: luks })).toBe('ok');
    expect(
      swap('/dev/mapper/cryptswap partition', { files: luks, links: { '/dev/mapper/cryptswap': '../dm-0' } }),
    ).toBe('ok');
    expect(swap('/swapfile file', { files: luks, below: 'dm-0' })).toBe('ok');
    expect(swap('/dev/zram0 partition')).toBe('ok');
  });

  test('a logical volume is as good as what it lies on, all of it', () => {
    const directories = { '/sys/class/block/dm-1/slaves': ['dm-0'] };
    expect(swap('/dev/dm-1 partition', { files: luks, directories })).toBe('ok');
    const both = { '/sys/class/block/dm-1/slaves': ['dm-0', 'sdb1'] };
    expect(swap('/dev/dm-1 partition', { files: luks, directories: both })).toBe('warn');
    const loop = { '/sys/class/block/dm-1/slaves': ['dm-1'] };
    expect(swap('/dev/dm-1 partition', { directories: loop })).toBe('warn');
  });
});

describe('limits', () => {
  const limits = (name: string, soft: string) => `Limit  Soft Limit  Hard Limit\n${name}  ${soft}  unlimited  bytes\n`;
  const memory = (isRoot: boolean, files: Record<string, string>) => memoryFindings(host({ isRoot, files }));

  test('locked memory', () => {
    const file = (soft: string) => ({ '/proc/self/limits': limits('Max locked memory', soft) });
    expect(level(memory(false, file('65536')), 'locked')).toBe('warn');
    expect(level(memory(false, file('2097152')), 'locked')).toBe('warn');
    expect(level(memory(false, file('8388608')), 'locked')).toBe('ok');
    expect(level(memory(false, file('unlimited')), 'locked')).toBe('ok');
    expect(level(memory(true, file('65536')), 'locked')).toBe('ok');
    expect(level(memory(false, {}), 'locked')).toBe('warn');
  });

  test('core files', () => {
    const file = (pattern: string, soft: string) => ({
      '/proc/sys/kernel/core_pattern': `${pattern}\n`,
      '/proc/self/limits': limits('Max core file size', soft),
    });
    expect(level(memory(true, file('core', '0')), 'core')).toBe('ok');
    expect(level(memory(true, file('core', 'unlimited')), 'core')).toBe('warn');
    expect(level(memory(true, file('|/usr/lib/systemd/systemd-coredump %P', '0')), 'core')).toBe('warn');
    expect(level(memory(true, file('|/bin/false', 'unlimited')), 'core')).toBe('ok');
  });
});

test('programs', () => {
  const node = (version: string): string | undefined => level(programFindings(version, 'openssl'), 'Node');
  expect([node('v18.20.0'), node('v20.18.9'), node('v20.19.0'), node('v24.0.0')]).toEqual([
    'missing',
    'missing',
    'warn',
    'ok',
  ]);
  expect(level(programFindings('v24.0.0', 'node'), 'crypto')).toBe('warn');
});

describe('criu', () => {
  test('where it is not tried, by its version', async () => {
    const criu = async (output: string): Promise<string | undefined> =>
      level(await criuFindings(host({ programs: { criu: output } }), undefined), 'criu');
    expect(await criu('Version: 4.1.1\n')).toBe('ok');
    expect(await criu('Version: 3.17.1\n')).toBe('warn');
    expect(await criu('')).toBe('warn');
    expect(level(await criuFindings(host({}), undefined), 'criu')).toBe('warn');
  });

  test('that no IPv4-only socket can be dumped: criu to 4.1 on Linux from 6.16 on', async () => {
    const sockets = async (version: string, release: string): Promise<string | undefined> => {
      const files = { '/proc/sys/kernel/osrelease': `${release}\n` };
      const described = host({ files, programs: { criu: `Version: ${version}\n` } });
      return level(await criuFindings(described, undefined), 'IPv4-only sockets');
    };
    expect(await sockets('4.1.1', '6.16.0-1-amd64')).toBe('warn');
    expect(await sockets('3.19', '7.0')).toBe('warn');
    expect(await sockets('4.2', '6.18.44')).toBe('ok');
    expect(await sockets('4.1.1', '6.15.9')).toBe('ok');
    expect(await sockets('4.1.1', '5.10.0')).toBe('ok');
    expect(level(await criuFindings(host({}), undefined), 'IPv4-only sockets')).toBeUndefined();
  });

  test('what it logs becomes a reason', () => {
    const log = [
      "(00.000001) Error (criu/rlimit.c:5): Can't setup RLIMIT_NOFILE for self: Operation not permitted",
      '(00.001) Dumping',
      '(00.012345) Error (criu/a.c:1): first',
      '(00.012346) Error (criu/b.c:2): second',
    ].join('\n');
    expect(reasonIn(log)).toBe('Error (criu/a.c:1): first; Error (criu/b.c:2): second');
    expect(reasonIn('sh: criu: not found\n\n')).toBe('sh: criu: not found');
    expect(reasonIn('')).toBe('it gives no reason');
  });
});

describe('the machine', () => {
  const machine = (subject: string, described: Described): string | undefined =>
    level(machineFindings(host(described)), subject);

  test('CAP_SYS_RESOURCE, of root itself or of what root would have', () => {
    const status = 'CapPrm:\t0\nCapEff:\t000001fffeffffff\nCapBnd:\t000001ffffffffff\n';
    expect(machine('CAP_SYS_RESOURCE', { files: { '/proc/self/status': status } })).toBe('warn');
    expect(machine('CAP_SYS_RESOURCE', { isRoot: false, files: { '/proc/self/status': status } })).toBe('ok');
  });

  test('control groups: v1, v2, both, none', () => {
    const groups = (mounts: string) => machine('control groups', { files: { '/proc/self/mounts': mounts } });
    const [v1, v2] = ['cgroup /sys/fs/cgroup/cpu cgroup rw 0 0\n', 'cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n'];
    expect([groups(v1), groups(v2), groups(v1 + v2), groups('')]).toEqual(['ok', 'ok', 'warn', 'warn']);
  });

  test('IPv6, soft-dirty tracking, loop devices', () => {
    expect(machine('IPv6', { files: { '/proc/net/if_inet6': '' } })).toBe('ok');
    expect(machine('IPv6', {})).toBe('warn');
    expect(machine('soft-dirty', { tracksWrites: true })).toBe('ok');
    expect(machine('soft-dirty', {})).toBe('warn');
    expect(machine('loop', { canOpen: true })).toBe('ok');
    expect(machine('loop', {})).toBe('warn');
  });

  test('iptables, which root tries', () => {
    const programs = { iptables: '', ip6tables: '' };
    expect(machine('iptables', { programs: { ...programs } })).toBe('warn');
    expect(machine('iptables', { programs: { iptables: '' } })).toBe('warn');
    expect(machine('iptables', { isRoot: false, programs })).toBe('ok');
  });

  test('soft-dirty tracking is tried on memory of this process, and says the same each time', () => {
    expect(thisHost.tracksWrites()).toBe(thisHost.tracksWrites());
  });
});
