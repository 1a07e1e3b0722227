// Goal: a login of `aws sso login` gives the credentials of its role, while its token is valid, and to no other server.
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { HttpServer } from '../../../support/http-server.ts';
import { AwsHome } from './aws-home.ts';

const home = new AwsHome();
// SHA-1 of the start URL, a pair that the tests of botocore have, and of the name of the session.
const startUrl = 'https://d-abc123.awsapps.com/start';
const fileOfUrl = '.aws/sso/cache/40a89917e3175433e361b710a9d43528d7f1890a.json';
const fileOfSession = '.aws/sso/cache/ee0bfd2552fbd840c02cc48b6e823320543c450f.json';
const expiration = Date.now() + 3_600_000;
const role = 'sso_account_id = 123456789012\nsso_role_name = Reader\n';
const session = `[sso-session corp]\nsso_start_url = ${startUrl}\nsso_region = eu-west-1\n`;
const inSession = `[default]\nsso_session = corp\n${role}`;

let portal: HttpServer;
const tokens: (string | undefined)[] = [];
beforeAll(async () => {
  portal = await HttpServer.start();
});
afterAll(async () => {
  await portal.close();
  home.remove();
});
beforeEach(() => {
  home.clear();
  home.write('config', session + inSession);
  keep(fileOfSession, {});
  portal.asked.length = 0;
  tokens.length = 0;
  portal.answer = (request, response) => {
    tokens.push(request.headers['x-amz-sso_bearer_token']?.toString());
    const keys = { accessKeyId: 'SSO', secretAccessKey: 's3cret', sessionToken: 't', expiration };
    response.end(JSON.stringify({ roleCredentials: keys }));
  };
});

/** Keeps a token as `aws sso login` does. */
function keep(file: string, members: Readonly<Record<string, unknown>>, mode = 0o600): void {
  const expiresAt = new Date(expiration).toISOString();
  const token = { startUrl, region: 'eu-west-1', accessToken: 's3cret-token', expiresAt, ...members };
  home.write(file, JSON.stringify(token), mode);
}

const find = () => home.find({ AWS_ENDPOINT_URL_SSO: portal.url });
const refusal = () => home.refusal({ AWS_ENDPOINT_URL_SSO: portal.url });

test.each([
  ['a session', session + inSession, fileOfSession],
  ['a URL', `[default]\nsso_start_url = ${startUrl}\nsso_region = eu-west-1\n${role}`, fileOfUrl],
])('a login by %s gives the credentials of a role', async (_, config, file) => {
  home.clear();
  home.write('config', config);
  keep(file, {});
  expect(await find()).toEqual({
    accessKeyId: 'SSO',
    secretAccessKey: 's3cret',
    sessionToken: 't',
    expiresAt: expiration,
  });
  expect(portal.asked.map(({ line }) => line)).toEqual([
    'GET /federation/credentials?role_name=Reader&account_id=123456789012',
  ]);
  expect(tokens).toEqual(['s3cret-token']);
});

test('a time that older programs wrote is understood', async () => {
  keep(fileOfSession, { expiresAt: new Date(expiration).toISOString().replace(/\.\d+Z$/, 'UTC') });
  expect(await find()).toMatchObject({ accessKeyId: 'SSO' });
});

test.each([
  ['has expired', { expiresAt: '2020-06-17T10:02:08Z' }, 'expired'],
  ['has no time', { expiresAt: undefined }, 'expired'],
  ['is of another URL', { startUrl: 'https://other.awsapps.com/start' }, 'mismatch'],
  ['is of another region', { region: 'us-east-1' }, 'mismatch'],
  ['is missing', { accessToken: undefined }, 'unsupported'],
  ['would end a field of HTTP', { accessToken: 's3cret\r\nb: c' }, 'unsupported'],
])('a token that %s is not sent', async (_, members, reason) => {
  keep(fileOfSession, members);
  const error = await refusal();
  expect(error).toMatchObject({ code: 'bad-key-file', data: { reason } });
  expect(error.message).toContain('aws sso login');
  expect(portal.asked).toEqual([]);
});

test('a token that another user can change, or that is no JSON, is not sent', async () => {
  keep(fileOfSession, {}, 0o620);
  expect(await refusal()).toMatchObject({ data: { reason: 'unreadable' } });
  home.write(fileOfSession, 's3cret');
  expect(await refusal()).toMatchObject({ data: { reason: 'unsupported' } });
  home.clear();
  home.write('config', session + inSession);
  expect(await refusal()).toMatchObject({ data: { reason: 'absent' } });
  expect(portal.asked).toEqual([]);
});

test.each([
  ['no section', inSession, 'absent'],
  ['no role', `${session}[default]\nsso_session = corp\nsso_account_id = 123456789012\n`, 'absent'],
  ['another region than its session', `${session}${inSession}sso_region = us-east-1\n`, 'mismatch'],
  ['a server in place of a region', `${session.replace('eu-west-1', 'x.example/#')}${inSession}`, 'unsupported'],
  ['an account with a path', `${session}${inSession.replace('123456789012', '../1')}`, 'unsupported'],
])('a profile with %s is refused', async (_, config, reason) => {
  home.write('config', config);
  expect(await refusal()).toMatchObject({ code: 'bad-key-file', data: { reason } });
  expect(portal.asked).toEqual([]);
});

test('a portal that takes the token for expired says what to do', async () => {
  portal.answer = (_request, response) =>
    response.writeHead(401, { 'x-amzn-errortype': 'UnauthorizedException' }).end('{"message":"s3cret"}');
  const error = await refusal();
  expect(error).toMatchObject({ code: 'store-unavailable', data: { reason: 'denied' } });
  expect(error.message).toMatch(/401 UnauthorizedException: log in by "aws sso login"$/);
});

test.each([
  'garbage',
  '{"roleCredentials":null}',
  '{"roleCredentials":{"accessKeyId":"A","secretAccessKey":"s3cret"}}',
])('the answer %s is not taken for credentials', async (answer) => {
  portal.answer = (_request, response) => response.end(answer);
  expect(await refusal()).toMatchObject({ code: 'store-unavailable', data: { reason: 'garbage' } });
});

test('a portal on another host is not asked by http', async () => {
  const error = await home.refusal({ AWS_ENDPOINT_URL_SSO: 'http://portal.example/' });
  expect(error).toMatchObject({ code: 'bad-argument' });
});
