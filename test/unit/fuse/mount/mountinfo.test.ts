import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseMountInfo, readMounts, topmostAt } from '../../../../src/fuse/mount/mountinfo.ts';

describe('parseMountInfo', () => {
  test('reads every field, with none, one and several optional fields', () => {
    const text = [
      '36 35 98:0 /root /mnt/a rw,noatime - ext4 /dev/sda1 rw,errors=continue',
      '37 35 0:52 / /mnt/b ro,nosuid shared:12 - fuse.ckptfs /srv/enc ro,user_id=0,max_read=1048576',
      '38 35 0:53 / /mnt/c rw shared:1 master:2 propagate_from:3 - tmpfs none rw',
      '',
    ].join('\n');
    expect(parseMountInfo(text)).toEqual([
      {
        id: 36,
        mountPoint: '/mnt/a',
        device: '98:0',
        fsType: 'ext4',
        source: '/dev/sda1',
        options: ['rw', 'noatime', 'rw', 'errors=continue'],
      },
      {
        id: 37,
        mountPoint: '/mnt/b',
        device: '0:52',
        fsType: 'fuse.ckptfs',
        source: '/srv/enc',
        options: ['ro', 'nosuid', 'ro', 'user_id=0', 'max_read=1048576'],
      },
      {
        id: 38,
        mountPoint: '/mnt/c',
        device: '0:53',
        fsType: 'tmpfs',
        source: 'none',
        options: ['rw', 'rw'],
      },
    ]);
  });

  test('undoes the octal escapes, a backslash of the name itself included', () => {
    const line = '1 2 0:3 / /a\\040b\\011c\\012d\\134e\\134040,"\' rw - fuse.ckptfs so\\040urce rw';
    const [mount] = parseMountInfo(line);
    expect(mount?.mountPoint).toBe('/a b\tc\nd\\e\\040,"\'');
    expect(mount?.source).toBe('so urce');
  });

  test('decodes names as UTF-8', () => {
    const line = Buffer.from('1 2 0:3 / /größe\\040✓ rw - tmpfs none rw').toString('latin1');
    expect(parseMountInfo(line)[0]?.mountPoint).toBe('/größe ✓');
  });

  test('is not misled by a mount point called "-", or by an empty source', () => {
    expect(parseMountInfo('1 2 0:3 / - rw - tmpfs none rw')[0]).toMatchObject({ mountPoint: '-', fsType: 'tmpfs' });
    expect(parseMountInfo('1 2 0:3 / /x rw - tmpfs  rw')[0]).toMatchObject({ source: '', options: ['rw', 'rw'] });
  });

  test.each(['', 'x', '1 2 0:3 / /x rw', '1 2 0:3 / /x rw - tmpfs', '1 2 0:3 / /x rw -'])(
    'leaves out the line "%s"',
    (line) => {
      expect(parseMountInfo(line)).toEqual([]);
    },
  );

  test('never throws', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(' ', '-', '\\', '0', '4', 'a', '\n', ',') }), (text) => {
        expect(Array.isArray(parseMountInfo(text))).toBe(true);
      }),
    );
  });
});

test("readMounts finds this host's own mounts", async () => {
  const proc = topmostAt(await readMounts(), '/proc');
  expect(proc).toMatchObject({ fsType: 'proc', device: expect.stringMatching(/^\d+:\d+$/) });
});

test('topmostAt gives the mount that hides the others', () => {
  const mounts = parseMountInfo(
    '1 2 0:3 / /x rw - tmpfs a rw\n2 1 0:4 / /y rw - tmpfs b rw\n3 1 0:5 / /x rw - tmpfs c rw',
  );
  expect(topmostAt(mounts, '/x')?.source).toBe('c');
  expect(topmostAt(mounts, '/z')).toBeUndefined();
});
