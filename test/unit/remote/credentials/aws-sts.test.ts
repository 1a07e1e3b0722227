// Goal: requests to STS have a signature that AWS accepts, and faults of it are told apart.
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { checkSignature } from '../../../support/aws-signature.ts';
import { AwsHome } from './aws-home.ts';
import { StsServer } from './sts-server.ts';

const home = new AwsHome();
let sts: StsServer;
beforeAll(async () => {
  sts = await StsServer.start();
});
afterAll(async () => {
  await sts.close();
  home.remove();
});
beforeEach(() => {
  home.clear();
  home.write('config', '[default]\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = keys\n');
  home.write('credentials', '[keys]\naws_access_key_id = KEYS\naws_secret_access_key = s3cret\n');
  sts.requests.length = 0;
  sts.instead.length = 0;
});

test('signatures are checked as the example of AWS has them', () => {
  // "Create a signed AWS API request", IAM User Guide, and the test suite of Signature Version 4: ListUsers.
  const signature = '5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7';
  const scope = 'AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request';
  const headers = {
    'content-type': 'application/x-www-form-urlencoded; charset=utf-8',
    host: 'iam.amazonaws.com',
    'x-amz-date': '20150830T123600Z',
    authorization: `AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=content-type;host;x-amz-date, Signature=${signature}`,
  };
  const target = '/?Action=ListUsers&Version=2010-05-08';
  const secret = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY';
  const { said, expected } = checkSignature({ method: 'GET', target, headers, body: '' }, secret);
  expect(said).toEqual({ accessKeyId: 'AKIDEXAMPLE', region: 'us-east-1', service: 'iam', signature });
  expect(expected).toBe(signature);
});

test('a request is signed for the service in its region', async () => {
  const found = await home.find({ AWS_ENDPOINT_URL_STS: sts.url });
  expect(found).toEqual({
    accessKeyId: 'OF-r',
    secretAccessKey: 's3cret',
    sessionToken: 't+/=',
    expiresAt: Date.parse(sts.expiration),
  });
  expect(sts.requests).toEqual([
    {
      form: {
        Action: 'AssumeRole',
        Version: '2011-06-15',
        RoleArn: 'arn:aws:iam::1:role/r',
        RoleSessionName: 'ckptfs',
      },
      signer: 'KEYS',
      scope: 'us-east-1/sts',
      sessionToken: undefined,
    },
  ]);
});

test('a wrong secret is refused, with the code of the service', async () => {
  home.write('credentials', '[keys]\naws_access_key_id = KEYS\naws_secret_access_key = another\n');
  const error = await home.refusal({ AWS_ENDPOINT_URL_STS: sts.url });
  expect(error).toMatchObject({ code: 'store-unavailable', data: { reason: 'denied' } });
  expect(error.message).toContain('403 SignatureDoesNotMatch');
});

test.each([
  ['what is no answer', 200, 'garbage'],
  ['half of them', 200, '<AccessKeyId>A</AccessKeyId>'],
  ['an answer without end', 200, ' '.repeat(100_000)],
])('%s is not taken for credentials', async (_, status, body) => {
  sts.instead.push([status, body]);
  const error = await home.refusal({ AWS_ENDPOINT_URL_STS: sts.url });
  expect(error).toMatchObject({ code: 'store-unavailable' });
});

test.each([
  [500, ''],
  [429, ''],
  [400, '<ErrorResponse><Error><Code>Throttling</Code></Error></ErrorResponse>'],
])('an answer of %i that may pass is one to ask again after', async (status, body) => {
  sts.instead.push([status, body]);
  expect(await home.refusal({ AWS_ENDPOINT_URL_STS: sts.url })).toMatchObject({ name: 'Retryable' });
});

test.each([
  [{ AWS_ENDPOINT_URL_STS: 'url', AWS_ENDPOINT_URL: 'http://127.0.0.1:9' }, ''],
  [{ AWS_ENDPOINT_URL: 'url' }, 'endpoint_url = http://127.0.0.1:9\n'],
  [{}, 'endpoint_url = url\n'],
])('the server is named by %j before the profile', async (variables, line) => {
  const named = Object.entries(variables).map(([name, text]) => [name, text.replace('url', sts.url)]);
  const settings = `role_arn = arn:aws:iam::1:role/r\nsource_profile = keys\n${line.replace(/= url/, `= ${sts.url}`)}`;
  home.write('config', `[default]\n${settings}`);
  expect(await home.find(Object.fromEntries(named))).toMatchObject({ accessKeyId: 'OF-r' });
});
