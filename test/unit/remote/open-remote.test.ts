// Goal: one command asks for credentials once, whatever it asks of a bucket with them.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { listRemote } from '../../../src/remote/open-remote.ts';
import { HttpServer } from '../../support/http-server.ts';
import { AwsHome } from './credentials/aws-home.ts';
import { StsServer } from './credentials/sts-server.ts';

const home = new AwsHome();
let sts: StsServer;
let store: HttpServer;
beforeAll(async () => {
  [sts, store] = await Promise.all([StsServer.start(), HttpServer.start()]);
});
afterAll(async () => {
  await Promise.all([sts.close(), store.close()]);
  home.remove();
});

test('a role is assumed once for all places of a listing', async () => {
  home.write('config', '[default]\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = keys\n');
  home.write('credentials', '[keys]\naws_access_key_id = KEYS\naws_secret_access_key = s3cret\n');
  const places = ['a/', 'b/'].map((name) => `<CommonPrefixes><Prefix>${name}</Prefix></CommonPrefixes>`).join('');
  store.answer = ({ url }, response) => {
    const isTop = new URL(url ?? '', store.url).searchParams.get('prefix') === '';
    response.end(`<ListBucketResult><IsTruncated>false</IsTruncated>${isTop ? places : ''}</ListBucketResult>`);
  };
  const environment = {
    AWS_CONFIG_FILE: home.at('config'),
    AWS_SHARED_CREDENTIALS_FILE: home.at('credentials'),
    AWS_ENDPOINT_URL_S3: store.url,
    AWS_ENDPOINT_URL_STS: sts.url,
  };
  expect(await listRemote('s3://bucket', { jobs: 1, signal: new AbortController().signal, environment })).toEqual([]);
  expect(store.asked).toHaveLength(3);
  expect(store.asked.every(({ authorization }) => authorization?.includes('Credential=OF-r/'))).toBe(true);
  expect(sts.requests).toHaveLength(1);
});
