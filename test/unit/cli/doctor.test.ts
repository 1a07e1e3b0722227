import { describe, expect, test } from 'vitest';
import type { Finding } from '../../../src/cli/doctor/check.ts';
import type { Host } from '../../../src/cli/doctor/host.ts';
import { memoryFindings } from '../../../src/cli/doctor/memory.ts';
import { mountingFindings } from '../../../src/cli/doctor/mounting.ts';
import { programFindings } from '../../../src/cli/doctor/programs.ts';

interface Described {
  readonly isRoot?: boolean;
  readonly files?: Readonly<Record<string, string>>;
  readonly directories?: Readonly<Record<string, readonly string[]>>;
  readonly links?: Readonly<Record<string, string>>;
  readonly programs?: Readonly<Record<string, string>>;
  readonly below?: string;
}

/** A host that is not this one: swap, kernels and users that a test cannot make. */
function host({ isRoot = true, files = {}, directories = {}, links = {}, programs = {}, below }: Described): Host {
  return {
    isRoot,
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

  test('everything that is not ok says how to get it', () => {
    const findings = [...mountingFindings(host({ isRoot: false })), ...programFindings(host({}), 'v18.0.0', 'node')];
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
  const criu = (output: string): string | undefined =>
    level(programFindings(host({ programs: { criu: output } }), 'v24.1.0', 'openssl'), 'criu');
  expect([criu('Version: 4.1.1\n'), criu('Version: 3.17.1\n'), criu('')]).toEqual(['ok', 'warn', 'warn']);
  const node = (version: string): string | undefined => level(programFindings(host({}), version, 'openssl'), 'Node');
  expect([node('v18.20.0'), node('v20.18.9'), node('v20.19.0'), node('v24.0.0')]).toEqual([
    'missing',
    'missing',
    'warn',
    'ok',
  ]);
  expect(level(programFindings(host({}), 'v24.0.0', 'node'), 'crypto')).toBe('warn');
});
