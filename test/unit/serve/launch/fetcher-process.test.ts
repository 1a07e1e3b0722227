import { resolve } from 'node:path';
import { expect, test } from 'vitest';
import { withAbsolutePaths } from '../../../../src/serve/launch/fetcher-process.ts';

test('files that credentials come from are those of the directory in which the command was given', () => {
  const others = { AWS_PROFILE: 'restore', AWS_CONFIG_FILE: '', HOME: 'relative', DOCKER_CONFIG: '/etc/docker' };
  expect(withAbsolutePaths({ ...others, REGISTRY_AUTH_FILE: 'auth.json', AWS_CA_BUNDLE: '../ca.pem' })).toEqual({
    ...others,
    REGISTRY_AUTH_FILE: resolve('auth.json'),
    AWS_CA_BUNDLE: resolve('../ca.pem'),
  });
});
