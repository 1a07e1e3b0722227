// Goal: the profiles that users of AWS have give the credentials that programs of AWS find by them, and nothing that
// another user can change gets a secret of this one out.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { HttpServer } from '../../../support/http-server.ts';
import { AwsHome } from './aws-home.ts';
import { StsServer } from './sts-server.ts';

const home = new AwsHome();
let sts: StsServer;
let service: HttpServer;
beforeAll(async () => {
  sts = await StsServer.start();
  service = await HttpServer.start();
});
afterAll(async () => {
  await sts.close();
  await service.close();
  home.remove();
});
beforeEach(() => {
  home.clear();
  sts.requests.length = 0;
});

const keys = (id: string): string => `aws_access_key_id = ${id}\naws_secret_access_key = s3cret\n`;
const role = (name: string, source: string): string =>
  `role_arn = arn:aws:iam::1:role/${name}\nsource_profile=${source}\n`;
const kind = (name: string): string => `role_arn = arn:aws:iam::1:role/r\ncredential_source = ${name}\n`;
const find = (variables: NodeJS.ProcessEnv = {}) => home.find({ AWS_ENDPOINT_URL_STS: sts.url, ...variables });
const refusal = (variables: NodeJS.ProcessEnv = {}) => home.refusal({ AWS_ENDPOINT_URL_STS: sts.url, ...variables });
const signers = () => sts.requests.map(({ form, signer }) => `${form['RoleArn']?.split('/').pop()} by ${signer}`);

describe('a role', () => {
  test('has the settings of its profile', async () => {
    const settings = 'external_id = an id\nrole_session_name = job-1\nduration_seconds = 900\nregion = eu-west-1\n';
    home.write(
      'config',
      `[profile p]\n${role('r', 'q')}${settings}[profile q]\n${keys('KEYS')}aws_session_token = s\n`,
    );
    expect(await find({ AWS_PROFILE: 'p' })).toMatchObject({ accessKeyId: 'OF-r' });
    expect(sts.requests).toMatchObject([
      {
        form: { ExternalId: 'an id', RoleSessionName: 'job-1', DurationSeconds: '900' },
        signer: 'KEYS',
        sessionToken: 's',
      },
    ]);
  });

  test('is taken with another one, from the last profile to the first', async () => {
    home.write('config', `[default]\n${role('a', 'b')}[profile b]\n${role('b', 'c')}`);
    home.write('credentials', `[c]\n${keys('KEYS')}`);
    expect(await find()).toMatchObject({ accessKeyId: 'OF-a' });
    expect(signers()).toEqual(['b by KEYS', 'a by OF-b']);
    expect(sts.requests[1]?.sessionToken).toBe('t+/=');
  });

  test('is taken with the keys of its own profile, or of a source that has a role besides', async () => {
    home.write('config', `[default]\n${role('r', 'default')}${keys('OWN')}`);
    expect(await find()).toMatchObject({ accessKeyId: 'OF-r' });
    home.write('config', `[default]\n${role('r', 'q')}[profile q]\n${keys('KEYS')}${role('unused', 'elsewhere')}`);
    expect(await find()).toMatchObject({ accessKeyId: 'OF-r' });
    expect(signers()).toEqual(['r by OWN', 'r by KEYS']);
  });

  test('is taken with what a program answers', async () => {
    const answer = JSON.stringify({ Version: 1, AccessKeyId: 'PROGRAM', SecretAccessKey: 's3cret' });
    home.write('config', `[default]\n${role('r', 'q')}[profile q]\ncredential_process = echo '${answer}'\n`);
    await find();
    expect(signers()).toEqual(['r by PROGRAM']);
  });

  test('comes after the variables, unless it is taken with these', async () => {
    const variables = { AWS_ACCESS_KEY_ID: 'ENV', AWS_SECRET_ACCESS_KEY: 's3cret', AWS_PROFILE: 'p' };
    home.write('config', `[profile p]\n${role('r', 'q')}[profile q]\n${keys('KEYS')}`);
    expect(await find(variables)).toMatchObject({ accessKeyId: 'ENV' });
    home.write('config', `[profile p]\n${kind('Environment')}`);
    expect(await find(variables)).toMatchObject({ accessKeyId: 'OF-r' });
    expect(signers()).toEqual(['r by ENV']);
  });

  test('is taken with the credentials of the container or the instance', async () => {
    const credentials = (id: string): string =>
      JSON.stringify({ AccessKeyId: id, SecretAccessKey: 's3cret', Token: 't' });
    service.answer = ({ url }, response) =>
      response.end(
        url === '/container' ? credentials('ECS') : url?.endsWith('/role-1') ? credentials('EC2') : 'role-1',
      );
    home.write('config', `[default]\n${kind('EcsContainer')}`);
    await find({ AWS_CONTAINER_CREDENTIALS_FULL_URI: `${service.url}/container` });
    home.write('config', `[default]\n${kind('Ec2InstanceMetadata')}`);
    await find({ AWS_EC2_METADATA_DISABLED: '', AWS_EC2_METADATA_SERVICE_ENDPOINT: service.url });
    expect(signers()).toEqual(['r by ECS', 'r by EC2']);
  });

  test('by a token in a file is asked for without a signature', async () => {
    home.write('token', 'web-token\n');
    const settings = `role_arn = arn:aws:iam::1:role/r\nweb_identity_token_file = ${home.at('token')}\n`;
    home.write('config', `[default]\n${settings}role_session_name = job-1\n`);
    expect(await find()).toMatchObject({ accessKeyId: 'OF-r' });
    expect(sts.requests).toMatchObject([
      { form: { WebIdentityToken: 'web-token', RoleSessionName: 'job-1' }, signer: undefined },
    ]);
  });

  test('that expires is taken again', async () => {
    home.write('config', `[default]\n${role('r', 'q')}[profile q]\n${keys('KEYS')}`);
    const { signal } = new AbortController();
    await home.withSource({ AWS_ENDPOINT_URL_STS: sts.url }, async (source) => {
      await source.current(signal);
      await source.current(signal);
      expect(sts.requests).toHaveLength(1);
      const found = await source.current(signal);
      expect(found !== undefined && source.expire(found)).toBe(true);
      sts.expiration = new Date(Date.now() + 60_000).toISOString();
      await source.current(signal);
      await source.current(signal);
      expect(sts.requests).toHaveLength(3);
    });
  });
});

describe('a profile is refused', () => {
  const row = Array.from({ length: 9 }, (_, index) => `[profile p${index}]\n${role('r', `p${index + 1}`)}`).join('');
  test.each([
    ['that is its own source without keys', `[default]\n${role('r', 'default')}`, 'mismatch'],
    ['that leads back to itself', `[default]\n${role('a', 'b')}[profile b]\n${role('b', 'default')}`, 'mismatch'],
    ['with many roles in a row', `${row}[profile p9]\n${keys('KEYS')}[default]\n${role('r', 'p0')}`, 'unsupported'],
    ['whose source is missing', `[default]\n${role('r', 'missing')}`, 'absent'],
    ['whose source is empty', `[default]\n${role('r', 'q')}[profile q]\nregion = x\n`, 'absent'],
    ['whose source has a half', `[default]\n${role('r', 'q')}[profile q]\naws_access_key_id = A\n`, 'not-a-key'],
    ['with two sources', `[default]\n${role('r', 'q')}credential_source = Environment\n`, 'mismatch'],
    ['with a source that is unknown', `[default]\n${kind('Elsewhere')}`, 'unsupported'],
    ['whose environment is empty', `[default]\n${kind('Environment')}`, 'absent'],
    ['that has a role alone', '[default]\nrole_arn = arn:aws:iam::1:role/r\n', 'absent'],
    ['that needs a code', `[default]\n${role('r', 'q')}mfa_serial = m\n[profile q]\n${keys('KEYS')}`, 'unsupported'],
    ['with another duration', `[default]\n${role('r', 'q')}duration_seconds = 1h\n[profile q]\n`, 'unsupported'],
  ])('%s', async (_, config, reason) => {
    home.write('config', config);
    expect(await refusal()).toMatchObject({ code: 'bad-key-file', data: { reason } });
    expect(sts.requests).toEqual([]);
  });

  test('and what would be found after it is not taken', async () => {
    home.write('config', `[default]\n${role('r', 'missing')}${keys('KEYS')}`);
    expect(await refusal({ AWS_CONTAINER_CREDENTIALS_FULL_URI: service.url })).toMatchObject({ code: 'bad-key-file' });
  });
});

describe('a file that another user can change', () => {
  test('gives keys, and a role for them', async () => {
    home.write('config', `[default]\n${role('r', 'q')}[profile q]\n${keys('KEYS')}`, 0o666);
    expect(await find()).toMatchObject({ accessKeyId: 'OF-r' });
  });

  test.each([
    ['a server of STS', `${role('r', 'default')}${keys('KEYS')}endpoint_url = URL\n`, 'endpoint_url'],
    ['a file to send', 'role_arn = arn:r\nweb_identity_token_file = TOKEN\n', 'web_identity_token_file'],
    ['the credentials of this host', kind('Ec2InstanceMetadata'), 'credential_source'],
    ['a login', 'sso_start_url = https://sso.example\nsso_region = x\n', 'sso_start_url'],
    ['a session', 'sso_session = s\n', 'sso_session'],
  ])('does not name %s', async (_, settings, name) => {
    home.write('token', 's3cret');
    home.write('config', `[default]\n${settings.replace('URL', sts.url).replace('TOKEN', home.at('token'))}`, 0o664);
    const error = await home.refusal();
    expect(error).toMatchObject({ code: 'bad-key-file', data: { reason: 'unreadable' } });
    expect(error.message).toContain(name);
    expect(sts.requests).toEqual([]);
  });

  test('does not say where the token of the environment is sent', async () => {
    home.write('token', 's3cret');
    home.write('config', `[default]\nendpoint_url = ${sts.url}\n`, 0o664);
    const identity = { AWS_WEB_IDENTITY_TOKEN_FILE: home.at('token'), AWS_ROLE_ARN: 'arn:aws:iam::1:role/r' };
    expect(await home.refusal(identity)).toMatchObject({ code: 'bad-key-file' });
    expect(sts.requests).toEqual([]);
  });
});
