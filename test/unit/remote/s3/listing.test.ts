import { expect, test } from 'vitest';
import { parsePage } from '../../../../src/remote/s3/listing.ts';

test('a page has keys, prefixes and where it goes on', () => {
  const text = `<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><IsTruncated>true</IsTruncated><Prefix>web%2F</Prefix>
<Contents><Key>web/a%20b%2Bc/ckptfs-image.json</Key><Size>1</Size></Contents><Contents><Key>web/x+y</Key></Contents>
<CommonPrefixes><Prefix>web/%26%3C/</Prefix></CommonPrefixes>
<NextContinuationToken>a&amp;b&lt;=&quot;</NextContinuationToken></ListBucketResult>`;
  expect(parsePage('a bucket', text)).toEqual({
    keys: ['web/a b+c/ckptfs-image.json', 'web/x y'],
    prefixes: ['web/&</'],
    next: 'a&b<="',
  });
});

test('the last page goes on nowhere, whatever it says', () => {
  const text = '<ListBucketResult><NextContinuationToken>a</NextContinuationToken></ListBucketResult>';
  expect(parsePage('a bucket', text)).toEqual({ keys: [], prefixes: [], next: undefined });
});
