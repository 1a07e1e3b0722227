import { describe, expect, test } from 'vitest';
import { CkptfsError } from '../../../../src/base/errors.ts';
import { hintFor } from '../../../../src/cli/hints.ts';
import { parseMountOptions } from '../../../../src/cli/options/mount-options.ts';

function refusal(list: string): CkptfsError {
  try {
    parseMountOptions([list]);
  } catch (error) {
    if (error instanceof CkptfsError) return error;
  }
  throw new Error(`${list} was not refused`);
}

describe('mount options', () => {
  test('options of ckptfs are taken out, and the others are left as they are', () => {
    const id = 'AB'.repeat(16);
    const line = `rw,key_file=/etc/k,image_id=${id},transport=fuse-native,workers=3,cache_size=2M,page_files=direct,root_mode=0755,scratch,log_file=/l,nofail`;
    expect(parseMountOptions([line, 'allow_other'])).toEqual({
      settings: {
        keyFile: ['/etc/k'],
        imageId: id.toLowerCase(),
        transport: 'fuse-native',
        workers: 3,
        cacheSize: 2 << 20,
        pageFiles: 'direct',
        rootMode: 0o755,
        scratch: true,
        logFile: '/l',
      },
      rest: ['rw', 'nofail', 'allow_other'],
    });
    expect(parseMountOptions([])).toEqual({ settings: {}, rest: [] });
  });

  test('a backslash takes a comma or a backslash into a value; a value may have an equals sign', () => {
    const { settings, rest } = parseMountOptions(['key_file=/a\\,b\\\\c=d,fsname=x\\,y']);
    expect(settings.keyFile).toEqual(['/a,b\\c=d']);
    expect(rest).toEqual(['fsname=x\\,y']);
  });

  test('several key files are kept in their order', () => {
    expect(parseMountOptions(['key_file=a', 'key_file=b']).settings.keyFile).toEqual(['a', 'b']);
  });

  test('a lease has its options here as well', () => {
    const line = 'key_lease=15m,on_revoked=unmount,on_unreachable=lock,key_grace=1h,no_key_cache,require_signature';
    expect(parseMountOptions([line])).toEqual({
      settings: {
        keyLease: 900,
        onRevoked: 'unmount',
        onUnreachable: 'lock',
        keyGrace: 3600,
        noKeyCache: true,
        requireSignature: true,
      },
      rest: [],
    });
  });

  test.each([
    ['key_lease=soon', /it is a time such as/],
    ['on_revoked=cry', /known are lock, unmount, keep/],
    ['no_key_cache=1', /takes no value/],
    ['key_file', /key_file needs a value/],
    ['key_file=', /key_file needs a value/],
    ['workers=0', /workers 0: .*1 to 64/],
    ['workers=65', /1 to 64/],
    ['cache_size=lots', /number of bytes/],
    ['root_mode=0888', /mode in octal/],
    ['root_mode=10000', /mode in octal/],
    ['image_id=12', /32 hexadecimal digits/],
    ['transport=carrier-pigeon', /auto, kernel, io-uring, fuse-native/],
    ['page_files=never', /auto, direct, cached/],
    ['scratch=yes', /takes no value/],
    ['keyfile=/etc/k', /keyfile=\/etc\/k: it is not known/],
  ])('refuses %s', (list, reason) => {
    const { code, message } = refusal(list);
    expect(code).toBe('bad-argument');
    expect(message).toMatch(reason);
  });

  test('the hint for a misspelt option lists the options of ckptfs', () => {
    expect(hintFor(refusal('keyfile=x'))).toContain('key_file=FILE');
  });
});
