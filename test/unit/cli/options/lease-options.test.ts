import { afterEach, describe, expect, test, vi } from 'vitest';
import type { KeyArguments, RecipientArguments } from '../../../../src/cli/options/key-options.ts';
import { type LeaseArguments, leaseFrom } from '../../../../src/cli/options/lease-options.ts';

afterEach(() => vi.unstubAllEnvs());

type Arguments = LeaseArguments & KeyArguments & RecipientArguments;

test('a lease has what opens the image anew, and nothing else', () => {
  vi.stubEnv('SOFTHSM2_CONF', '/etc/softhsm');
  vi.stubEnv('VAULT_TOKEN', 'secret');
  const args = {
    key: ['cmd:get'],
    keyTimeout: 7,
    keySlot: '2',
    auditLog: '/a',
    keyLease: 60,
    onRevoked: 'unmount',
  } as const;
  const terms = leaseFrom({ ...args, ...{ label: 'x', ENC: 'enc' } });
  expect(terms).toMatchObject({
    seconds: 60,
    onRevoked: 'unmount',
    onUnreachable: 'keep',
    check: {
      options: { key: ['cmd:get'], keyTimeout: 7, keySlot: '2' },
      directory: process.cwd(),
      environment: { SOFTHSM2_CONF: '/etc/softhsm' },
      timeoutSeconds: 7,
      shared: true,
    },
  });
  expect(Object.keys(terms?.check.options ?? {}).sort()).toEqual(['key', 'keySlot', 'keyTimeout']);
  expect(terms?.check.environment).not.toHaveProperty('VAULT_TOKEN');
});

describe('a key without --key-lease', () => {
  test('has a lease only if a service may give it, and is not shared', () => {
    expect(leaseFrom({ keyFile: ['k'] })).toBeUndefined();
    expect(leaseFrom({ key: ['cmd:get'] })).toBeUndefined();
    expect(leaseFrom({ key: ['kmip://kms/7'], onRevoked: 'keep' })).toMatchObject({
      onRevoked: 'keep',
      check: { shared: false },
    });
    expect(leaseFrom({ key: ['kmip://kms/7'] })?.seconds).toBeUndefined();
    expect(leaseFrom({ key: ['pkcs11:token=t?pin-source=env:PIN'] })).toBeUndefined();
  });
});

test('the cache can be left out', () => {
  expect(leaseFrom({ key: ['cmd:get'], keyLease: 60, noKeyCache: true })?.check.shared).toBe(false);
});

test('the variable that names a key counts where no key is named', () => {
  vi.stubEnv('CKPTFS_KEY', 'env:SECRET');
  expect(() => leaseFrom({ keyLease: 60 })).toThrow('a key from env: has no lease');
  expect(leaseFrom({ keyLease: 60, key: ['cmd:get'] })?.check.environment).toMatchObject({ CKPTFS_KEY: 'env:SECRET' });
});

test.each<[what: string, args: Arguments, message: string]>([
  ['a variable', { key: ['env:K'] }, 'a key from env: has no lease'],
  ['a descriptor', { key: ['fd:3'] }, 'a key from fd: has no lease'],
  ['standard input', { key: ['stdin:'] }, 'a key from stdin: has no lease'],
  ['a key file on standard input', { keyFile: ['-'] }, 'a key from standard input has no lease'],
  ['a passphrase that is asked for', { key: ['passphrase:'] }, 'a key from passphrase: has no lease'],
  ['a header in a variable', { key: ['https://h/k'], keyHeader: ['X: Bearer env:T'] }, 'a variable opens has no lease'],
  ['a PIN in a variable', { key: ['pkcs11:token=t?pin-source=env:PIN'] }, 'PIN is in a variable has no lease'],
  ['a recipient alone', { recipient: ['host.crt'] }, 'needs --key'],
  ['a grace that nothing has', { key: ['cmd:get'], keyGrace: 5 }, '--key-grace is for --on-unreachable lock'],
])('%s is refused', (_what, args, message) => {
  expect(() => leaseFrom({ keyLease: 60, ...args })).toThrow(message);
});

test.each<[LeaseArguments, string]>([
  [{ onRevoked: 'lock' }, '--on-revoked'],
  [{ onUnreachable: 'lock' }, '--on-unreachable'],
  [{ noKeyCache: true }, '--no-key-cache'],
])('%j without a lease is refused', (args, option) => {
  expect(() => leaseFrom({ key: ['cmd:get'], ...args })).toThrow(`${option} is for a key that has a lease`);
});

test('a passphrase in a file, or of a command, and a header in a file can be had again', () => {
  for (const key of ['passphrase:/etc/p', 'passphrase:cmd:get', 'keyring:name', 'file:/k']) {
    expect(leaseFrom({ key: [key], keyLease: 60, keyHeader: ['Authorization: Bearer @/t'] })?.seconds).toBe(60);
  }
});
