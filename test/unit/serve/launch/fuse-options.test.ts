import { describe, expect, test } from 'vitest';
import { parseFuseOptions } from '../../../../src/serve/launch/fuse-options.ts';

const nothing = { allowOther: false, allowRoot: false, noExec: false, readOnly: false, fsName: undefined };

test('several lists are parsed as one', () => {
  expect(parseFuseOptions(['allow_other,noexec', 'fsname=backup'])).toEqual({
    ...nothing,
    allowOther: true,
    noExec: true,
    fsName: 'backup',
  });
  expect(parseFuseOptions(['allow_root'])).toEqual({ ...nothing, allowRoot: true });
  expect(parseFuseOptions([])).toEqual(nothing);
});

test('options of fstab and mount(8) for other programs have no effect', () => {
  const generic = 'defaults,rw,nosuid,nodev,noauto,user,nofail,_netdev,x-systemd.automount,x-gvfs-name=a b,comment=c';
  expect(parseFuseOptions([generic])).toEqual(nothing);
});

test('the last one of exec and noexec counts, as mount(8) passes them for user,exec', () => {
  expect(parseFuseOptions(['rw,noexec,nosuid,nodev,user,exec'])).toEqual(nothing);
  expect(parseFuseOptions(['exec', 'noexec'])).toEqual({ ...nothing, noExec: true });
});

test('ro is returned, so that a caller can refuse to write', () => {
  expect(parseFuseOptions(['rw,ro'])).toEqual({ ...nothing, readOnly: true });
});

test('a comma after a backslash belongs to the value', () => {
  expect(parseFuseOptions(['fsname=a\\,b\\\\c,allow_other'])).toEqual({
    ...nothing,
    allowOther: true,
    fsName: 'a,b\\c',
  });
});

describe('refused, with its name in the message:', () => {
  test.each([
    'suid',
    'dev',
    'subtype=x',
    'nonsense',
    'allow_other=1',
    'fsname',
    'fsname=',
    'max_read=1',
    'fd=3',
    'user_id=0',
  ])('%s', (option) => {
    expect(() => parseFuseOptions([`ro,${option}`])).toThrow(
      expect.objectContaining({ code: 'bad-argument', message: expect.stringContaining(option) }),
    );
  });
});
