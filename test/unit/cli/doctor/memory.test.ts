import { describe, expect, test } from 'vitest';
import { memoryFindings } from '../../../../src/cli/doctor/memory.ts';
import { type Described, host, level } from './described-host.ts';

describe('swap', () => {
  const swaps = (line: string) => `Filename\tType\tSize\tUsed\tPriority\n${line}\t1024\t0\t-2\n`;
  const swap = (line: string, described: Described = {}): string | undefined =>
    level(memoryFindings(host({ ...described, files: { ...described.files, '/proc/swaps': swaps(line) } })), 'swap');
  const luks = { '/sys/class/block/dm-0/dm/uuid': 'CRYPT-LUKS2-1234\n' };

  test('no swap is fine', () => {
    expect(level(memoryFindings(host({ files: { '/proc/swaps': 'Filename Type\n' } })), 'swap')).toBe('ok');
  });

  test('swap on an unencrypted disk is a warning', () => {
    expect(swap('/dev/sda2 partition')).toBe('warn');
    expect(swap('/dev/dm-1 partition', { files: { '/sys/class/block/dm-1/dm/uuid': 'LVM-abc' } })).toBe('warn');
    expect(swap('/swapfile file', { below: 'sda1' })).toBe('warn');
    expect(swap('/swapfile file')).toBe('warn');
    expect(swap('/dev/zram0 partition', { files: { '/sys/class/block/zram0/backing_dev': '/dev/sda3\n' } })).toBe(
      'warn',
    );
  });

  test('swap that is encrypted, or is memory itself, is fine', () => {
    expect(swap('/dev/dm-0 partition', { files: luks })).toBe('ok');
    expect(
      swap('/dev/mapper/cryptswap partition', { files: luks, links: { '/dev/mapper/cryptswap': '../dm-0' } }),
    ).toBe('ok');
    expect(swap('/swapfile file', { files: luks, below: 'dm-0' })).toBe('ok');
    expect(swap('/dev/zram0 partition')).toBe('ok');
  });

  test('a logical volume is as good as the worst device below it', () => {
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

  test('less locked memory than an image needs is a warning, except for root', () => {
    const file = (soft: string) => ({ '/proc/self/limits': limits('Max locked memory', soft) });
    expect(level(memory(false, file('65536')), 'locked')).toBe('warn');
    expect(level(memory(false, file('2097152')), 'locked')).toBe('warn');
    expect(level(memory(false, file('8388608')), 'locked')).toBe('ok');
    expect(level(memory(false, file('unlimited')), 'locked')).toBe('ok');
    expect(level(memory(true, file('65536')), 'locked')).toBe('ok');
    expect(level(memory(false, {}), 'locked')).toBe('warn');
  });

  test('core files that could be written are a warning', () => {
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
