// Goal: a registry is shown what docker and podman are logged in with, from their files and helpers, and nothing that
// is for another one.
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { CkptfsError } from '../../../../src/base/errors.ts';
import {
  type RegistryCredentials,
  registryCredentials,
} from '../../../../src/remote/credentials/registry-credentials.ts';

const base = mkdtempSync(join(tmpdir(), 'ckptfs-docker-'));
const home = join(base, 'home');
const auth = (user: string): { auth: string } => ({
  auth: Buffer.from(`${user}:s3cret:with colon`).toString('base64'),
});
const credentials = (username: string): RegistryCredentials => ({ username, password: 's3cret:with colon' });

afterAll(() => rmSync(base, { recursive: true }));
beforeEach(() => rmSync(home, { recursive: true, force: true }));

function write(name: string, value: unknown): string {
  const path = join(home, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, typeof value === 'string' ? value : JSON.stringify(value));
  return path;
}

const find = (address = 'registry.example/web/shop', environment: NodeJS.ProcessEnv = {}) => {
  const [host = '', ...names] = address.split('/');
  return registryCredentials({ host, repository: names.join('/') }, { HOME: home, ...environment }, 60);
};

async function refusal(): Promise<string> {
  const error = await find().then(
    () => {
      throw new Error('it was found');
    },
    (failure: CkptfsError) => failure,
  );
  expect(error.message).not.toContain('s3cret');
  return error.code;
}

test('there are none where there is no file, an empty one, or one for others', async () => {
  expect(await find()).toBeUndefined();
  write('.docker/config.json', '');
  write('.config/containers/auth.json', { auths: { 'other.example': auth('o'), 'registry.example.evil': auth('e') } });
  expect(await find()).toBeUndefined();
});

describe('files', () => {
  test('count in the order of podman, then docker', async () => {
    write('.docker/config.json', { auths: { 'registry.example': auth('docker') } });
    expect(await find()).toEqual(credentials('docker'));
    write('.config/containers/auth.json', { auths: { 'registry.example': auth('config') } });
    expect(await find()).toEqual(credentials('config'));
    write('run/containers/auth.json', { auths: { 'registry.example': auth('runtime') } });
    expect(await find(undefined, { XDG_RUNTIME_DIR: join(home, 'run') })).toEqual(credentials('runtime'));
    const named = write('named.json', { auths: { 'registry.example': auth('named') } });
    expect(await find(undefined, { REGISTRY_AUTH_FILE: named })).toEqual(credentials('named'));
    write('d/config.json', { auths: { 'registry.example': auth('d') } });
    rmSync(join(home, '.config'), { recursive: true });
    expect(await find(undefined, { DOCKER_CONFIG: join(home, 'd') })).toEqual(credentials('d'));
  });

  test.each([
    ['registry.example/web/shop', 'shop'],
    ['registry.example/web/other', 'web'],
    ['registry.example/elsewhere', 'host'],
    ['registry.example/web-shop', 'host'],
    ['docker.io/library/busybox', 'hub'],
    ['with-url.example/a', 'url'],
    ['constructor/a', undefined],
  ])('have for %s what is nearest to it', async (address, user) => {
    write('.config/containers/auth.json', {
      auths: {
        'registry.example': auth('host'),
        'registry.example/web': auth('web'),
        'registry.example/web/shop': auth('shop'),
        'https://index.docker.io/v1/': auth('hub'),
        'https://with-url.example/v1/': auth('url'),
      },
    });
    expect(await find(address)).toEqual(user === undefined ? undefined : credentials(user));
  });

  test('may have a token in place of a password', async () => {
    write('.docker/config.json', { auths: { 'registry.example': { identitytoken: 's3cret' } } });
    expect(await find()).toMatchObject({ identityToken: 's3cret' });
  });

  test.each(['{"auths": s3cret', '[]', { auths: { 'registry.example': { auth: 's3cret' } } }])(
    'that are not right are refused, and not repeated: %j',
    async (value) => {
      write('.docker/config.json', value);
      expect(await refusal()).toBe('bad-key-file');
    },
  );
});

describe('a helper', () => {
  function helper(script: string): void {
    const path = write('bin/docker-credential-test', `#!/bin/sh\n${script}\n`);
    chmodSync(path, 0o755);
    vi.stubEnv('PATH', `${dirname(path)}:/usr/bin:/bin`);
  }

  test.each([{ credHelpers: { 'registry.example': 'test' } }, { credsStore: 'test' }])(
    'of %j is asked',
    async (file) => {
      helper('read -r host; echo "{\\"ServerURL\\":\\"$host\\",\\"Username\\":\\"$1 $host\\",\\"Secret\\":\\"s\\"}"');
      write('.docker/config.json', file);
      expect(await find()).toEqual({ username: 'get registry.example', password: 's' });
      vi.unstubAllEnvs();
    },
  );

  test('that has none is passed over, and a token of one is a token', async () => {
    helper('echo credentials not found in native keychain; exit 1');
    write('.docker/config.json', { credsStore: 'test' });
    expect(await find()).toBeUndefined();
    helper(`echo '{"Username":"<token>","Secret":"s3cret"}'`);
    expect(await find()).toMatchObject({ identityToken: 's3cret' });
    vi.unstubAllEnvs();
  });

  test.each([
    ['fails', 'echo s3cret >&2; exit 3', 'store-unavailable'],
    ['answers garbage', 'echo s3cret', 'bad-key-file'],
  ])('that %s is an error', async (_, script, code) => {
    helper(script);
    write('.docker/config.json', { credsStore: 'test' });
    expect(await refusal()).toBe(code);
    vi.unstubAllEnvs();
  });

  test.each(['../../bin/sh', 'a b', '', 7])('is not called %j', async (name) => {
    write('.docker/config.json', { credHelpers: { 'registry.example': name } });
    expect(await refusal()).toBe('bad-key-file');
  });
});
