import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { HeldKeys, type KeyUse } from '../../../../src/cli/options/held-keys.ts';
import type { KeyArguments, RecipientArguments } from '../../../../src/cli/options/key-options.ts';
import { createProgram } from '../../../../src/cli/program.ts';
import { Secret } from '../../../../src/crypto/secret.ts';
import { readRecipientFile } from '../../../../src/keys/recipients/pem.ts';

const imageId = Buffer.alloc(16, 7);
const home = process.env['XDG_CONFIG_HOME'];
let folder: string;
const at = (name: string): string => join(folder, name);

function openssl(...args: string[]): void {
  execFileSync('openssl', args, { stdio: 'pipe', cwd: folder });
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ckptfs-held-'));
  process.env['XDG_CONFIG_HOME'] = folder;
  mkdirSync(at('ckptfs/keys'), { recursive: true });
  for (const name of ['a.key', 'b.key', `ckptfs/keys/${imageId.toString('hex')}.key`]) {
    writeFileSync(at(name), '42'.repeat(16), { mode: 0o600 });
  }
  openssl('genpkey', '-algorithm', 'x25519', '-out', 'host.pem');
  openssl('pkey', '-in', 'host.pem', '-pubout', '-out', 'host.pub');
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-keyout', 'ca.pem'];
  openssl('req', '-x509', ...curve, '-subj', '/CN=ours', '-out', 'ours.crt', '-addext', 'keyUsage=keyAgreement');
  openssl('req', '-x509', ...curve, '-subj', '/CN=other', '-out', 'other.crt', '-addext', 'keyUsage=keyAgreement');
});

afterAll(() => {
  if (home === undefined) delete process.env['XDG_CONFIG_HOME'];
  else process.env['XDG_CONFIG_HOME'] = home;
  rmSync(folder, { recursive: true });
});

beforeEach(() => {
  delete process.env['CKPTFS_KEY'];
  rmSync(at('ckptfs/config.json'), { force: true });
});

const configure = (value: unknown) => writeFileSync(at('ckptfs/config.json'), JSON.stringify(value), { mode: 0o600 });

/** Writes a policy and returns the argument that names it. */
function policy(rules: unknown): KeyArguments {
  writeFileSync(at('policy.json'), JSON.stringify(rules), { mode: 0o600 });
  return { policy: at('policy.json') };
}

async function withHeld<T>(
  args: KeyArguments & RecipientArguments,
  use: KeyUse,
  work: (keys: HeldKeys) => T | Promise<T>,
): Promise<T> {
  const keys = await HeldKeys.read(args, use);
  try {
    return await work(keys);
  } finally {
    keys.wipe();
  }
}

const opening = (args: KeyArguments & RecipientArguments = {}) =>
  withHeld(args, 'open', async (keys) => (await keys.forOpening(imageId, [])).map(({ source }) => source));
const making = (args: KeyArguments & RecipientArguments = {}) =>
  withHeld(args, 'make', async (keys) => {
    await keys.prepareForCreating({});
    return keys.forCreating(imageId).map(({ source }) => source);
  });

describe('keys that are not named', () => {
  test('are those of the variable, then of the file, then the default key', async () => {
    expect(await opening()).toEqual([expect.stringContaining(`${imageId.toString('hex')}.key`)]);
    configure({ keyFile: [at('a.key')] });
    expect(await opening()).toEqual([`key file ${at('a.key')}`]);
    process.env['CKPTFS_KEY'] = `file:${at('b.key')}`;
    expect(await opening()).toEqual([`key file ${at('b.key')}`]);
  });

  test('are asked for only when no named key is there, empty lists or not', async () => {
    configure({ keyFile: ['wrong'] });
    expect(await opening({ keyFile: [at('b.key')] })).toEqual([`key file ${at('b.key')}`]);
    expect(await making({ keyFile: [at('b.key')] })).toEqual([`key file ${at('b.key')}`]);
    await expect(opening({ keyFile: [], key: [] })).rejects.toThrow('keyFile: a path begins with /');
    configure({ keyFile: [at('a.key')] });
    expect(await opening({ keyFile: [], key: [], privateKey: [] })).toEqual([`key file ${at('a.key')}`]);
  });

  test('open and make with what is for each', async () => {
    configure({ privateKey: [at('host.pem')], recipient: [at('host.pub')] });
    expect(await opening()).toEqual([expect.stringContaining('host.pem')]);
    expect(await making()).toEqual([expect.stringContaining('host.pub')]);
    expect(await making({ keyFile: [at('b.key')] })).toEqual([`key file ${at('b.key')}`]);
    expect(await making({ recipient: [at('ours.crt')] })).toEqual([expect.stringContaining('ours.crt')]);
  });

  test('come with a new slot for a recipient that is named', async () => {
    configure({ keyFile: [at('a.key')], recipient: [at('host.pub')] });
    const recipient = [at('ours.crt')];
    expect(await opening({ recipient })).toEqual([`key file ${at('a.key')}`]);
    const named = await withHeld({ recipient }, 'open', (keys) => keys.newRecipients.map(({ source }) => source));
    expect(named).toEqual([expect.stringContaining('ours.crt')]);
  });

  test('do not say how certificates are checked where the command line does', async () => {
    configure({ caFile: [at('ours.crt')] });
    expect(await making({ recipient: [at('ours.crt')] })).toHaveLength(1);
    await expect(making({ recipient: [at('other.crt')] })).rejects.toMatchObject({ code: 'untrusted' });
    expect(await making({ recipient: [at('other.crt')], caFile: [at('other.crt')] })).toHaveLength(1);
  });
});

test('private keys that other users can read are warned of', async () => {
  const imageKey = Secret.random(32);
  const slot = await readRecipientFile(at('host.pub')).wrap(imageKey, imageId);
  mkdirSync(at('dir'));
  for (const name of ['open.pem', 'dir/open.pem']) {
    copyFileSync(at('host.pem'), at(name));
    chmodSync(at(name), 0o644);
  }
  const warningsOf = (args: KeyArguments) =>
    withHeld(args, 'open', async (keys) => {
      for (const identity of await keys.forOpening(imageId, [slot])) await identity.unwrap([slot], imageId);
      return keys.warnings.filter((warning) => warning.includes('private key'));
    });
  const warning = (name: string) => `private key ${at(name)} can be read by other users: chmod 600 ${at(name)}`;
  expect(await warningsOf({ privateKey: [at('host.pem')] })).toEqual([]);
  expect(await warningsOf({ privateKey: [at('open.pem')] })).toEqual([warning('open.pem')]);
  expect(await warningsOf({ keyDir: [at('dir')] })).toEqual([warning('dir/open.pem')]);
});

test('a command that is run for a key has no variable of a header field', async () => {
  process.env['CKPTFS_TEST_TOKEN'] = 'token';
  const key = [`cmd:printf %s "$CKPTFS_TEST_TOKEN" >${at('seen')}; cat ${at('a.key')}`];
  const keyHeader = ['Authorization: Bearer env:CKPTFS_TEST_TOKEN'];
  await withHeld({ key, keyHeader }, 'make', (keys) => keys.prepareForCreating({}));
  expect(readFileSync(at('seen'), 'utf8')).toBe('');
  expect(process.env['CKPTFS_TEST_TOKEN']).toBeUndefined();
});

describe('a policy', () => {
  test('refuses sources that are named, configured, or the default', async () => {
    const args = policy({ keySources: ['private-key'] });
    const refused = { code: 'forbidden-by-policy', message: expect.stringMatching(/forbids keys from key files/) };
    await expect(opening({ ...args, keyFile: [at('a.key')] })).rejects.toMatchObject(refused);
    await expect(opening(args)).rejects.toMatchObject(refused);
    await expect(making(args)).rejects.toMatchObject(refused);
    configure({ keyFile: [at('a.key')] });
    await expect(opening(args)).rejects.toMatchObject(refused);
    configure({ privateKey: [at('host.pem')] });
    expect(await opening(args)).toHaveLength(1);
  });

  test('refuses to let the kernel keep a key, before the image is looked at', async () => {
    const words = ['key', 'cache', at('absent'), '-k', at('a.key'), '--ttl', '1h'];
    const keeping = async (keySources: string[]): Promise<unknown> => {
      const all = [...words, '--policy', String(policy({ keySources }).policy)];
      return (await createProgram(all, () => undefined)).parseAsync(all);
    };
    await expect(keeping(['file'])).rejects.toMatchObject({
      code: 'forbidden-by-policy',
      message: expect.stringMatching(/forbids keys from the kernel keyring/),
    });
    await expect(keeping(['file', 'keyring'])).rejects.not.toMatchObject({ code: 'forbidden-by-policy' });
  });

  test('refuses ciphers of what is opened and made', async () => {
    const args = { ...policy({ ciphers: ['aes-256-gcm'] }), keyFile: [at('a.key')] };
    await expect(making(args)).rejects.toMatchObject({ code: 'forbidden-by-policy', data: { reason: 'cipher' } });
    await withHeld(args, 'open', ({ admit }) => {
      admit({ suite: 'default', cipher: 'aes-256-gcm' });
      expect(() => admit({ suite: 'default', cipher: 'none' })).toThrow('forbids images of cipher none');
    });
  });

  test('has recipients checked besides what the user demands', async () => {
    const args = policy({ recipientChecks: { caFile: [at('ours.crt')], force: false } });
    const other = { ...args, recipient: [at('other.crt')] };
    expect(await making({ ...args, recipient: [at('ours.crt')] })).toHaveLength(1);
    const demanded = new RegExp(`, as policy ${at('policy.json')} demands$`);
    await expect(making(other)).rejects.toThrow(demanded);
    await expect(making({ ...other, caFile: [at('other.crt')] })).rejects.toThrow(demanded);
    await expect(making({ ...other, force: true })).rejects.toThrow('forbids --force');
    await expect(making({ ...args, recipient: [at('host.pub')] })).rejects.toThrow('which has no certificate');
  });

  test('that requires signatures lets nothing be written into an image', async () => {
    const args = { ...policy({ requireSignature: true, trusted: [at('ours.crt')] }), keyFile: [at('a.key')] };
    await withHeld(args, 'open', (keys) => {
      expect(() => keys.checkWriting()).toThrow('forbids writing into an image that exists');
    });
  });
});
