import { describe, expect, test } from 'vitest';
import { s3Endpoint, s3Url } from '../../../../src/remote/s3/s3-place.ts';

const urlOf = (endpoint: string | undefined, region: string | undefined, bucket: string, key: string): string =>
  s3Url(s3Endpoint(endpoint, region), { kind: 's3', bucket, prefix: '' }, key).href;

test.each([
  [undefined, undefined, 'bucket', 'a/b', 'https://bucket.s3.us-east-1.amazonaws.com/a/b'],
  [undefined, 'eu-north-1', 'bucket', '', 'https://bucket.s3.eu-north-1.amazonaws.com/'],
  [undefined, 'cn-north-1', 'bucket', 'a', 'https://bucket.s3.cn-north-1.amazonaws.com.cn/a'],
  // The certificate of AWS is for one name before the region.
  [undefined, 'eu-north-1', 'with.dots', 'a', 'https://s3.eu-north-1.amazonaws.com/with.dots/a'],
  [undefined, 'eu-north-1', 'Capitals', 'a', 'https://s3.eu-north-1.amazonaws.com/Capitals/a'],
  ['http://ceph.example:7480', undefined, 'bucket', 'a', 'http://ceph.example:7480/bucket/a'],
  ['https://gate.example/s3/', undefined, 'bucket', 'a', 'https://gate.example/s3/bucket/a'],
  ['http://h', undefined, 'bucket', "a b+c/é!'()*", 'http://h/bucket/a%20b%2Bc/%C3%A9%21%27%28%29%2A'],
])('endpoint %s, region %s, bucket %s, key %s', (endpoint, region, bucket, key, url) => {
  expect(urlOf(endpoint, region, bucket, key)).toBe(url);
});

describe('is refused:', () => {
  test.each([
    ['ftp://h', undefined],
    ['h:80', undefined],
    ['https://user:s3cret@h', undefined],
    ['https://h/?a', undefined],
    ['https://h/#a', undefined],
    [undefined, 'evil.example/#'],
    [undefined, ''],
  ])('endpoint %s, region %s', (endpoint, region) => {
    expect(() => s3Endpoint(endpoint, region)).toThrow(
      expect.objectContaining({ code: 'bad-argument', message: expect.not.stringContaining('s3cret') }),
    );
  });
});
