import { describe, expect, test } from 'vitest';
import type { CkptfsError } from '../../../../src/base/errors.ts';
import { parseRemoteAddress, remoteUrl } from '../../../../src/remote/shared/remote-address.ts';

describe('an address', () => {
  const digest = `sha256:${'ab'.repeat(32)}`;

  test.each([
    ['s3://bucket', { kind: 's3', bucket: 'bucket', prefix: '' }],
    ['s3://my.Bucket_1/a b/c+d/é', { kind: 's3', bucket: 'my.Bucket_1', prefix: 'a b/c+d/é' }],
    ['oci://localhost:5000/web', { kind: 'oci', host: 'localhost:5000', repository: 'web' }],
    ['oci://[::1]:5000/a/b-c__d.e:T_1.x', { kind: 'oci', host: '[::1]:5000', repository: 'a/b-c__d.e', tag: 'T_1.x' }],
    [`oci://r.example/a:1@${digest}`, { kind: 'oci', host: 'r.example', repository: 'a', tag: '1', digest }],
  ])('%s is read and written again', (text, address) => {
    expect(parseRemoteAddress(text)).toEqual(address);
    expect(remoteUrl(parseRemoteAddress(text))).toBe(text);
  });

  test('may end with a slash', () => {
    expect(remoteUrl(parseRemoteAddress('s3://bucket/a/'))).toBe('s3://bucket/a');
  });

  test.each([
    'bucket/a',
    'https://bucket/a',
    's3:bucket',
    's3://',
    's3://a',
    's3://b..ucket/a',
    's3://bucket//a',
    's3://bucket/a/../b',
    's3://bucket/./a',
    's3://bucket/a?b',
    's3://bucket/a#b',
    's3://bucket/a\nb',
    's3://bucket/a\\b',
    `s3://bucket/${'a'.repeat(901)}`,
    'oci://host',
    'oci://host/',
    'oci://host/UPPER',
    'oci://host/a//b',
    'oci://host/../v2/a',
    'oci://host/a:',
    'oci://host/a:b/c',
    `oci://host/a:${'t'.repeat(129)}`,
    'oci://host/a@sha256:abcd',
    'oci://ho st/a',
    'oci://host:port/a',
  ])('%j is refused', (text) => {
    expect(() => parseRemoteAddress(text)).toThrow(expect.objectContaining({ code: 'bad-argument' }));
  });

  test.each(['s3://key:s3cret@bucket/a', 'oci://user:s3cret@host/a'])('%s is refused and not repeated', (text) => {
    try {
      parseRemoteAddress(text);
      throw new Error('it was read');
    } catch (error) {
      expect((error as CkptfsError).code).toBe('bad-argument');
      expect((error as CkptfsError).message).not.toContain('s3cret');
    }
  });
});
