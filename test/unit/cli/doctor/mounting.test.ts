import { describe, expect, test } from 'vitest';
import { CkptfsError } from '../../../../src/base/errors.ts';
import { mountingFindings } from '../../../../src/cli/doctor/mounting.ts';
import { hintFor } from '../../../../src/cli/hints.ts';
import { host, level } from './described-host.ts';

describe('mounting', () => {
  const fuse = { '/dev/fuse': 'open', '/proc/filesystems': 'nodev\tfuse\nnodev\toverlay\n' };

  test('finds nothing wrong where all is there', () => {
    const findings = mountingFindings(
      host({
        isRoot: false,
        files: { ...fuse, '/etc/fuse.conf': '# x\nuser_allow_other\n' },
        programs: { fusermount3: '' },
      }),
    );
    expect(findings.map((finding) => finding.level)).toEqual(['ok', 'ok', 'ok', 'ok', 'ok']);
  });

  test('tells root and ordinary users what each of them lacks', () => {
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

  test('says whether mounts can be served over io_uring, and what root can do', () => {
    const found = (text: string | undefined) =>
      mountingFindings(
        host({ files: text === undefined ? fuse : { ...fuse, '/sys/module/fuse/parameters/enable_uring': text } }),
      ).find(({ subject }) => subject === 'FUSE over io_uring');
    expect(found(undefined)).toMatchObject({ level: 'ok', found: expect.stringContaining('has none') });
    expect(found('Y\n')).toMatchObject({ level: 'ok', found: expect.stringContaining('switched on') });
    expect(found('N\n')).toMatchObject({
      level: 'warn',
      found: expect.stringContaining('switched off'),
      advice: expect.stringContaining('echo Y > /sys/module/fuse/parameters/enable_uring'),
    });
  });

  test('a mount that was tried tells more than looking does', () => {
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
});
