import { expect, test } from 'vitest';
import { daemonEnvironment } from '../../../../src/serve/launch/daemon-program.ts';

test('a daemon inherits little of the environment', () => {
  process.env['CKPTFS_TEST_PASSWORD'] = 'canary';
  process.env['NODE_OPTIONS'] ??= '';
  expect(JSON.stringify(daemonEnvironment())).not.toContain('canary');
  expect(Object.keys(daemonEnvironment())).not.toContain('NODE_OPTIONS');
  expect(daemonEnvironment()['PATH']).toBe(process.env['PATH']);
  delete process.env['CKPTFS_TEST_PASSWORD'];
});
