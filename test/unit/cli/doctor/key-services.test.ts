import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { keyServiceFindings } from '../../../../src/cli/doctor/key-services.ts';
import { host } from './described-host.ts';

const directory = mkdtempSync(join(tmpdir(), 'ckptfs-doctor-services-'));
afterAll(() => rmSync(directory, { recursive: true }));

const findings = (files: Record<string, string>, environment: NodeJS.ProcessEnv = {}): string[] =>
  keyServiceFindings(host({ files }), environment).map(({ level, found }) => `${level} ${found}`);

test('a TPM is there, is not, or may not be used', () => {
  expect(findings({})[0]).toMatch(/^ok none: there is no \/dev\/tpmrm0/);
  expect(findings({ '/dev/tpmrm0': 'open' })[0]).toBe('ok /dev/tpmrm0');
  expect(findings({ '/dev/tpmrm0': '' })[0]).toBe('warn /dev/tpmrm0 may not be used by this user');
  expect(findings({ '/dev/tpm1': 'open' }, { TPM2TOOLS_TCTI: 'device:/dev/tpm1' })[0]).toBe('ok /dev/tpm1');
  expect(findings({}, { TPM2TOOLS_TCTI: 'swtpm:path=/run/tpm' })[0]).toBe('ok a software TPM, swtpm:path=/run/tpm');
  expect(findings({}, { TPM2TOOLS_TCTI: 'tabrmd' })[0]).toBe('warn TPM2TOOLS_TCTI is tabrmd');
});

test('key providers are named, or what is wrong with their configuration', () => {
  expect(findings({})[1]).toBe('ok none: OCICRYPT_KEYPROVIDER_CONFIG is not set');
  const path = join(directory, 'config');
  const configured = { OCICRYPT_KEYPROVIDER_CONFIG: path };
  expect(findings({}, configured)[1]).toBe(`warn ${path}: there is no such file`);
  writeFileSync(path, '{"key-providers":{"a":{"grpc":"127.0.0.1:1"},"b":{"cmd":{"path":"/b"}}}}', { mode: 0o600 });
  expect(findings({}, configured)[1]).toBe(`ok a, b (${path})`);
});

test('modules that p11-kit gives are named', () => {
  const proxy = '/usr/lib64/p11-kit-proxy.so';
  const found = (described: Parameters<typeof host>[0]) => keyServiceFindings(host(described), {})[2]?.found;
  expect(found({})).toContain('p11-kit is not installed');
  expect(found({ files: { [proxy]: '' } })).toBe('p11-kit gives none');
  const directories = {
    '/etc/pkcs11/modules': ['hsm.module', 'softhsm2.module', 'notes'],
    '/usr/share/p11-kit/modules': ['softhsm2.module'],
  };
  expect(found({ files: { [proxy]: '' }, directories })).toBe('p11-kit gives hsm, softhsm2');
});

test('keyrings that may not be used are a warning', () => {
  const finding = (hasKeyrings: boolean) => keyServiceFindings(host({ hasKeyrings }), {})[3];
  expect(finding(true)).toMatchObject({ level: 'ok', found: 'can be used' });
  expect(finding(false)).toMatchObject({ level: 'warn', advice: expect.stringContaining('keyctl(2)') });
});
