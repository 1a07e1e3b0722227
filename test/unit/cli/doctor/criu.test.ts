import { describe, expect, test } from 'vitest';
import { criuFindings } from '../../../../src/cli/doctor/criu.ts';
import { host, level } from './described-host.ts';

describe('criu', () => {
  test('criu that is not tried is judged by its version', async () => {
    const criu = async (output: string): Promise<string | undefined> =>
      level(await criuFindings(host({ programs: { criu: output } }), undefined), 'criu');
    expect(await criu('Version: 4.1.1\n')).toBe('ok');
    expect(await criu('Version: 3.17.1\n')).toBe('warn');
    expect(await criu('')).toBe('warn');
    expect(level(await criuFindings(host({}), undefined), 'criu')).toBe('warn');
  });

  test('criu up to 4.1 on Linux from 6.16 on is a warning, because it dumps no IPv4-only socket', async () => {
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

  test('a lazy restore works where criu finds userfaultfd, and is not judged where criu may not be run', async () => {
    const trial = async () => ({ works: true, by: 'itself' }) as const;
    const lazy = async (criu: string, tried: boolean, files: Readonly<Record<string, string>> = {}) => {
      const findings = await criuFindings(host({ files, programs: { criu } }), tried ? trial : undefined);
      return findings.find(({ subject }) => subject === 'lazy restore');
    };
    expect(await lazy('Version: 4.1.1\n', false)).toMatchObject({
      level: 'ok',
      found: expect.stringMatching(/^not tried/),
    });
    expect(await lazy('Version: 4.1.1\n', true)).toMatchObject({
      level: 'ok',
      found: expect.stringMatching(/except in/),
    });
    const forAll = { '/proc/sys/vm/unprivileged_userfaultfd': '1\n' };
    expect(await lazy('Version: 4.1.1\n', true, forAll)).toMatchObject({ found: 'works by userfaultfd' });
    const without = host({ programs: { criu: 'Version: 4.1.1\n' }, failing: ['criu check'] });
    expect(level(await criuFindings(without, trial), 'lazy restore')).toBe('warn');
  });
});
