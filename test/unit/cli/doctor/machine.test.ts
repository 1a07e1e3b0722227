import { describe, expect, test } from 'vitest';
import { machineFindings } from '../../../../src/cli/doctor/machine.ts';
import { type Described, host, level } from './described-host.ts';

describe('the machine', () => {
  const machine = (subject: string, described: Described): string | undefined =>
    level(machineFindings(host(described)), subject);

  test('CAP_SYS_RESOURCE is looked for in what root has, or would have', () => {
    const status = 'CapPrm:\t0\nCapEff:\t000001fffeffffff\nCapBnd:\t000001ffffffffff\n';
    expect(machine('CAP_SYS_RESOURCE', { files: { '/proc/self/status': status } })).toBe('warn');
    expect(machine('CAP_SYS_RESOURCE', { isRoot: false, files: { '/proc/self/status': status } })).toBe('ok');
  });

  test('control groups of one version are fine, and both or none are a warning', () => {
    const groups = (mounts: string) => machine('control groups', { files: { '/proc/self/mounts': mounts } });
    const [v1, v2] = ['cgroup /sys/fs/cgroup/cpu cgroup rw 0 0\n', 'cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n'];
    expect([groups(v1), groups(v2), groups(v1 + v2), groups('')]).toEqual(['ok', 'ok', 'warn', 'warn']);
  });

  test('IPv6, soft-dirty tracking and loop devices are found or missed', () => {
    expect(machine('IPv6', { files: { '/proc/net/if_inet6': '' } })).toBe('ok');
    expect(machine('IPv6', {})).toBe('warn');
    expect(machine('soft-dirty', { tracksWrites: true })).toBe('ok');
    expect(machine('soft-dirty', {})).toBe('warn');
    expect(machine('loop', { canOpen: true })).toBe('ok');
    expect(machine('loop', {})).toBe('warn');
  });

  test('iptables is tried by root', () => {
    const programs = { iptables: '', ip6tables: '' };
    expect(machine('iptables', { programs: { ...programs } })).toBe('warn');
    expect(machine('iptables', { programs: { iptables: '' } })).toBe('warn');
    expect(machine('iptables', { isRoot: false, programs })).toBe('ok');
  });
});
