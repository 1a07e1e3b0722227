// Goal: credentials are found where programs of AWS keep them, in their order, and no fault of one shows a secret.
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { CkptfsError } from '../../../../src/base/errors.ts';
import { awsCredentials } from '../../../../src/remote/credentials/aws-chain.ts';
import type { AwsCredentials } from '../../../../src/remote/credentials/aws-credentials.ts';
import { readAwsProfile } from '../../../../src/remote/credentials/aws-profile.ts';
import { HttpClient } from '../../../../src/remote/http/http-client.ts';
import { HttpServer } from '../../../support/http-server.ts';

const home = mkdtempSync(join(tmpdir(), 'ckptfs-aws-'));
const at = (name: string): string => join(home, name);
const signal = new AbortController().signal;
const expiration = new Date(Date.now() + 3_600_000).toISOString();

let server: HttpServer;
beforeAll(async () => {
  server = await HttpServer.start();
});
afterAll(async () => {
  await server.close();
  rmSync(home, { recursive: true });
});
beforeEach(() => {
  for (const name of ['config', 'credentials']) rmSync(at(name), { force: true });
  server.asked.length = 0;
});

/** Finds credentials with these variables, and files in the directory. */
async function find(variables: NodeJS.ProcessEnv = {}): Promise<AwsCredentials | undefined> {
  const environment = {
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_CONFIG_FILE: at('config'),
    AWS_SHARED_CREDENTIALS_FILE: at('credentials'),
    ...variables,
  };
  const http = new HttpClient({ timeoutSeconds: 60, signal, environment, connections: 1 });
  try {
    const profile = readAwsProfile(environment);
    const source = awsCredentials(http, { environment, profile, region: 'us-east-1', timeoutSeconds: 60 });
    return await source.current(signal);
  } finally {
    http.close();
  }
}

async function refusal(variables: NodeJS.ProcessEnv): Promise<string> {
  const error = await find(variables).then(
    () => {
      throw new Error('there are some');
    },
    (failure: CkptfsError) => failure,
  );
  expect(error.message).not.toContain('s3cret');
  return error.code;
}

const pair = (name: string): AwsCredentials => ({ accessKeyId: name, secretAccessKey: 's3cret' });
const lines = (name: string): string => `aws_access_key_id = ${name}\naws_secret_access_key=s3cret\n`;
const variables = { AWS_ACCESS_KEY_ID: 'ENV', AWS_SECRET_ACCESS_KEY: 's3cret' };

test('there are none where there is nothing', async () => {
  expect(await find()).toBeUndefined();
});

describe('variables', () => {
  test('count before files', async () => {
    writeFileSync(at('credentials'), `[default]\n${lines('FILE')}`);
    expect(await find(variables)).toEqual(pair('ENV'));
    expect(await find({ ...variables, AWS_SESSION_TOKEN: 't' })).toEqual({ ...pair('ENV'), sessionToken: 't' });
  });

  test.each([
    ['would end a field of HTTP', { ...variables, AWS_SECRET_ACCESS_KEY: 's3cret\r\nb: c' }],
    ['have a space at the end', { ...variables, AWS_ACCESS_KEY_ID: 'ENV ' }],
    ['are a half of what is needed', { AWS_SECRET_ACCESS_KEY: 's3cret' }],
  ])('that %s are refused, and no others are taken', async (_, given) => {
    writeFileSync(at('credentials'), `[default]\n${lines('FILE')}`);
    expect(await refusal(given)).toBe('bad-key-file');
  });
});

describe('a profile', () => {
  test.each([
    [{}, 'DEFAULT'],
    [{ AWS_PROFILE: 'other' }, 'OTHER'],
    [{ AWS_PROFILE: 'in-config' }, 'CONFIG'],
  ])('of %j', async (chosen, name) => {
    writeFileSync(at('credentials'), `# a comment\n[default]\n${lines('DEFAULT')}[ other ]\n${lines('OTHER')}`);
    writeFileSync(at('config'), `[default]\n${lines('NOT-THIS')}region = x\n[profile in-config]\n${lines('CONFIG')}`);
    expect(await find(chosen)).toEqual(pair(name));
  });

  test('that is named and missing is an error', async () => {
    expect(await refusal({ AWS_PROFILE: 'missing' })).toBe('bad-key-file');
  });

  test('that needs what is not done says so', async () => {
    writeFileSync(at('config'), '[default]\nsso_start_url = https://sso.example\n');
    expect(await refusal({})).toBe('bad-key-file');
  });

  test('is read through no directory, and of no size', async () => {
    writeFileSync(at('credentials'), Buffer.alloc(2_000_000, ' '));
    expect(await refusal({})).toBe('bad-key-file');
    expect(await refusal({ AWS_SHARED_CREDENTIALS_FILE: home })).toBe('bad-key-file');
  });
});

describe('a program of a profile', () => {
  test('answers credentials', async () => {
    const answer = JSON.stringify({ Version: 1, AccessKeyId: 'PROGRAM', SecretAccessKey: 's3cret', SessionToken: 't' });
    writeFileSync(at('config'), `[default]\ncredential_process = echo '${answer}'\n`);
    expect(await find()).toEqual({ ...pair('PROGRAM'), sessionToken: 't' });
  });

  test.each([
    ['fails and says a secret', 'echo s3cret >&2; exit 1', 'store-unavailable'],
    ['answers something else', 'echo s3cret', 'bad-key-file'],
    ['answers without end', 'yes s3cret', 'bad-key-file'],
  ])('that %s is refused', async (_, command, code) => {
    writeFileSync(at('config'), `[default]\ncredential_process = ${command}\n`);
    expect(await refusal({})).toBe(code);
  });
});

test.each([0o664, 0o646])('a program of a profile with mode %o is not run', async (mode) => {
  writeFileSync(at('config'), `[default]\ncredential_process = touch ${at('was-run')}\n`);
  chmodSync(at('config'), mode);
  expect(await refusal({})).toBe('bad-key-file');
  expect(existsSync(at('was-run'))).toBe(false);
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
    expect(await find(asked)).toMatchObject({ accessKeyId: 'IMDS', sessionToken: 't' });
    expect(server.asked.map(({ line }) => line)).toEqual([
      'PUT /latest/api/token',
      'GET /latest/meta-data/iam/security-credentials/',
      'GET /latest/meta-data/iam/security-credentials/role-1',
    ]);
  });

  test.each(['../../user-data', 'a b', ''])('of an instance with the role "%s" give none', async (role) => {
    server.answer = (_request, response) => response.end(role);
    const asked = { AWS_EC2_METADATA_DISABLED: '', AWS_EC2_METADATA_SERVICE_ENDPOINT: server.url };
    expect(await find(asked)).toBeUndefined();
  });

  test('of a web identity are given its token', async () => {
    writeFileSync(at('token'), 'web-token\n');
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
    const identity = { AWS_WEB_IDENTITY_TOKEN_FILE: at('token'), AWS_ROLE_ARN: 'arn:aws:iam::1:role/r' };
    const found = await find({ ...identity, AWS_ENDPOINT_URL_STS: server.url });
    expect(found).toMatchObject({ accessKeyId: 'STS', sessionToken: 't', expiresAt: Date.parse(expiration) });
    expect(new URLSearchParams(body).get('WebIdentityToken')).toBe('web-token');
  });

  test.each(['ftp://localhost/', 'http://user:s3cret@localhost/', 'localhost'])('at %s are not asked', async (url) => {
    expect(await refusal({ AWS_CONTAINER_CREDENTIALS_FULL_URI: url })).toBe('bad-argument');
    expect(await refusal({ AWS_EC2_METADATA_DISABLED: '', AWS_EC2_METADATA_SERVICE_ENDPOINT: url })).toBe(
      'bad-argument',
    );
  });

  test('of a container on another host are not asked by http', async () => {
    expect(await refusal({ AWS_CONTAINER_CREDENTIALS_FULL_URI: 'http://elsewhere.example/' })).toBe('bad-argument');
    expect(await refusal({ AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: '.example/' })).toBe('bad-argument');
  });
});
