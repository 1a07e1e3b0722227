// Goal: credentials are found where programs of AWS keep them, in their order, and no fault of one shows a secret.
import { existsSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { AwsCredentials } from '../../../../src/remote/credentials/aws-credentials.ts';
import { HttpServer } from '../../../support/http-server.ts';
import { AwsHome } from './aws-home.ts';

const home = new AwsHome();
const expiration = new Date(Date.now() + 3_600_000).toISOString();

let server: HttpServer;
beforeAll(async () => {
  server = await HttpServer.start();
});
afterAll(async () => {
  await server.close();
  home.remove();
});
beforeEach(() => {
  home.clear();
  server.asked.length = 0;
});

const pair = (name: string): AwsCredentials => ({ accessKeyId: name, secretAccessKey: 's3cret' });
const lines = (name: string): string => `aws_access_key_id = ${name}\naws_secret_access_key=s3cret\n`;
const variables = { AWS_ACCESS_KEY_ID: 'ENV', AWS_SECRET_ACCESS_KEY: 's3cret' };

test('there are none where there is nothing', async () => {
  expect(await home.find()).toBeUndefined();
});

describe('variables', () => {
  test('count before files', async () => {
    home.write('credentials', `[default]\n${lines('FILE')}`);
    expect(await home.find(variables)).toEqual(pair('ENV'));
    expect(await home.find({ ...variables, AWS_SESSION_TOKEN: 't' })).toEqual({ ...pair('ENV'), sessionToken: 't' });
  });

  test.each([
    ['would end a field of HTTP', { ...variables, AWS_SECRET_ACCESS_KEY: 's3cret\r\nb: c' }],
    ['have a space at the end', { ...variables, AWS_ACCESS_KEY_ID: 'ENV ' }],
    ['are a half of what is needed', { AWS_SECRET_ACCESS_KEY: 's3cret' }],
  ])('that %s are refused, and no others are taken', async (_, given) => {
    home.write('credentials', `[default]\n${lines('FILE')}`);
    expect(await home.refusal(given)).toMatchObject({ code: 'bad-key-file' });
  });
});

describe('a profile', () => {
  test.each([
    [{}, 'DEFAULT'],
    [{ AWS_PROFILE: 'other' }, 'OTHER'],
    [{ AWS_PROFILE: 'in-config' }, 'CONFIG'],
  ])('of %j', async (chosen, name) => {
    home.write('credentials', `# a comment\n[default]\n${lines('DEFAULT')}[ other ]\n${lines('OTHER')}`);
    home.write('config', `[default]\n${lines('NOT-THIS')}region = x\n[profile in-config]\n${lines('CONFIG')}`);
    expect(await home.find(chosen)).toEqual(pair(name));
  });

  test('that is named and missing is an error', async () => {
    expect(await home.refusal({ AWS_PROFILE: 'missing' })).toMatchObject({ code: 'bad-key-file' });
  });

  test('is read through no directory, and of no size', async () => {
    home.write('credentials', Buffer.alloc(2_000_000, ' '));
    expect(await home.refusal({})).toMatchObject({ code: 'bad-key-file' });
    expect(await home.refusal({ AWS_SHARED_CREDENTIALS_FILE: home.directory })).toMatchObject({ code: 'bad-key-file' });
  });
});

describe('a program of a profile', () => {
  test('answers credentials', async () => {
    const answer = JSON.stringify({ Version: 1, AccessKeyId: 'PROGRAM', SecretAccessKey: 's3cret', SessionToken: 't' });
    home.write('config', `[default]\ncredential_process = echo '${answer}'\n`);
    expect(await home.find()).toEqual({ ...pair('PROGRAM'), sessionToken: 't' });
  });

  test.each([
    ['fails and says a secret', 'echo s3cret >&2; exit 1', 'store-unavailable'],
    ['answers something else', 'echo s3cret', 'bad-key-file'],
    ['answers without end', 'yes s3cret', 'bad-key-file'],
  ])('that %s is refused', async (_, command, code) => {
    home.write('config', `[default]\ncredential_process = ${command}\n`);
    expect(await home.refusal({})).toMatchObject({ code });
  });
});

test.each([0o664, 0o646])('a program of a profile with mode %o is not run', async (mode) => {
  home.write('config', `[default]\ncredential_process = touch ${home.at('was-run')}\n`, mode);
  expect(await home.refusal({})).toMatchObject({ code: 'bad-key-file' });
  expect(existsSync(home.at('was-run'))).toBe(false);
});

describe('services', () => {
  test('of an instance are asked by version 2', async () => {
    server.answer = (request, response) => {
      const { method, url = '', headers } = request;
      if (method === 'PUT' && url === '/latest/api/token') response.end('token');
      else if (headers['x-aws-ec2-metadata-token'] !== 'token') response.writeHead(401).end();
      else if (url.endsWith('/security-credentials/')) response.end('role-1\n');
      else {
        response.end(
          JSON.stringify({ AccessKeyId: 'IMDS', SecretAccessKey: 's3cret', Token: 't', Expiration: expiration }),
        );
      }
    };
    const asked = { AWS_EC2_METADATA_DISABLED: '', AWS_EC2_METADATA_SERVICE_ENDPOINT: server.url };
    expect(await home.find(asked)).toMatchObject({ accessKeyId: 'IMDS', sessionToken: 't' });
    expect(server.asked.map(({ line }) => line)).toEqual([
      'PUT /latest/api/token',
      'GET /latest/meta-data/iam/security-credentials/',
      'GET /latest/meta-data/iam/security-credentials/role-1',
    ]);
  });

  test.each(['../../user-data', 'a b', ''])('of an instance with the role "%s" give none', async (role) => {
    server.answer = (_request, response) => response.end(role);
    const asked = { AWS_EC2_METADATA_DISABLED: '', AWS_EC2_METADATA_SERVICE_ENDPOINT: server.url };
    expect(await home.find(asked)).toBeUndefined();
  });

  test('of a web identity are given its token', async () => {
    home.write('token', 'web-token\n');
    let body = '';
    server.answer = (request, response) => {
      request.on('data', (chunk) => {
        body += chunk;
      });
      const credentials = `<AccessKeyId>STS</AccessKeyId><SecretAccessKey>s3cret</SecretAccessKey><SessionToken>t</SessionToken>`;
      request.on('end', () =>
        response.end(`<R><Credentials>${credentials}<Expiration>${expiration}</Expiration></Credentials></R>`),
      );
    };
    const identity = { AWS_WEB_IDENTITY_TOKEN_FILE: home.at('token'), AWS_ROLE_ARN: 'arn:aws:iam::1:role/r' };
    const found = await home.find({ ...identity, AWS_ENDPOINT_URL_STS: server.url });
    expect(found).toMatchObject({ accessKeyId: 'STS', sessionToken: 't', expiresAt: Date.parse(expiration) });
    expect(new URLSearchParams(body).get('WebIdentityToken')).toBe('web-token');
  });

  test.each(['ftp://localhost/', 'http://user:s3cret@localhost/', 'localhost'])('at %s are not asked', async (url) => {
    expect(await home.refusal({ AWS_CONTAINER_CREDENTIALS_FULL_URI: url })).toMatchObject({ code: 'bad-argument' });
    expect(await home.refusal({ AWS_EC2_METADATA_DISABLED: '', AWS_EC2_METADATA_SERVICE_ENDPOINT: url })).toMatchObject(
      { code: 'bad-argument' },
    );
  });

  test('of a container on another host are not asked by http', async () => {
    expect(await home.refusal({ AWS_CONTAINER_CREDENTIALS_FULL_URI: 'http://elsewhere.example/' })).toMatchObject({
      code: 'bad-argument',
    });
    expect(await home.refusal({ AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: '.example/' })).toMatchObject({
      code: 'bad-argument',
    });
  });
});
