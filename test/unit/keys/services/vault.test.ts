import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CkptfsError } from '../../../../src/base/errors.ts';
import { Secret } from '../../../../src/crypto/secret.ts';
import type { Slot } from '../../../../src/format/slot.ts';
import { openKeyService } from '../../../../src/keys/services/registry.ts';
import type { ServiceProvider } from '../../../../src/keys/services/service.ts';
import { parseHeaderField } from '../../../../src/keys/sources/https-headers.ts';
import { TlsAuthority } from '../../../support/tls-authority.ts';
import { VaultServer } from '../../../support/vault-server.ts';
import { testContract } from './contract.ts';

const directory = mkdtempSync(join(tmpdir(), 'ckptfs-vault-'));
const authority = new TlsAuthority();
const imageId = Buffer.alloc(16, 1);
let vault: VaultServer;

beforeAll(async () => {
  vault = await VaultServer.start(authority, 'team/transit');
  vault.tokens.set('hvs.hunter2', 'all');
  vault.tokens.set('hvs.reader', 'decrypt');
  vault.addKey('images');
  for (const token of ['hunter2', 'reader', 'stranger'])
    writeFileSync(join(directory, token), `hvs.${token}\n`, { mode: 0o600 });
});
afterAll(async () => {
  await vault.close();
  authority.remove();
  rmSync(directory, { recursive: true });
});

const open = (path = 'team/transit/images', token = 'hunter2'): Promise<ServiceProvider> =>
  openKeyService(`vault://127.0.0.1:${vault.port}/${path}`, {
    timeoutSeconds: 60,
    caFile: authority.caFile,
    headers: [parseHeaderField(`X-Vault-Token: @${join(directory, token)}`)],
  });

describe('a key of the transit engine', () => {
  testContract({ kind: 'vault', open, openAbsent: () => open('team/transit/absent'), secrets: ['hvs.'] });
});

const wrap = async (path?: string, token?: string): Promise<Slot> => {
  const provider = await open(path, token);
  await provider.prepare();
  return provider.wrap(Secret.random(32), imageId);
};

async function refusal(work: Promise<unknown>): Promise<readonly unknown[]> {
  const error = await work.then(
    () => {
      throw new Error('it worked');
    },
    (reason: CkptfsError) => reason,
  );
  expect(error.message).toContain(`vault://127.0.0.1:${vault.port}/`);
  expect(error.message).not.toContain('hvs.');
  return [error.code, (error.data as { reason?: string }).reason, error.message.replace(/^\S+: /, '')];
}

test('a slot has what format.md and key-services.md say', async () => {
  const slot = await wrap();
  expect(JSON.parse(Buffer.from(slot.protected, 'base64url').toString())).toMatchObject({
    alg: 'ckptfs-vault',
    kid: 'team/transit/images',
  });
  expect(Buffer.from(slot.encrypted_key, 'base64url').toString()).toMatch(/^vault:v1:[A-Za-z0-9+/]+=*$/);
  expect(slot.header?.subject).toBe(`vault://127.0.0.1:${vault.port}/team/transit/images`);
});

test('opening is one request, and making a slot reads the key first', async () => {
  vault.asked.length = 0;
  const slot = await wrap();
  expect(vault.asked).toEqual(['GET /v1/team/transit/keys/images', 'POST /v1/team/transit/encrypt/images']);
  vault.asked.length = 0;
  expect(await (await open(undefined, 'reader')).unwrap([slot], imageId)).toMatchObject({ slot: 0 });
  expect(vault.asked).toEqual(['POST /v1/team/transit/decrypt/images']);
});

test('a key that is not there is not made', async () => {
  expect(await refusal(wrap('team/transit/new'))).toEqual(['key-unavailable', 'absent', expect.any(String)]);
  expect(vault.keys.has('new')).toBe(false);
});

test('a key is rotated, and what was made before opens until its version is too old', async () => {
  const key = vault.addKey('rotated');
  const old = await wrap('team/transit/rotated');
  key.versions.push(Buffer.alloc(32, 7));
  const renewed = await wrap('team/transit/rotated');
  const opened = async (slot: Slot) => (await open('team/transit/rotated')).unwrap([slot], imageId);
  expect(await opened(old)).toBeDefined();
  key.minDecryptionVersion = 2;
  expect(await refusal(opened(old))).toEqual(['key-unavailable', 'revoked', expect.stringContaining('too old')]);
  expect(await opened(renewed)).toBeDefined();
  vault.keys.delete('rotated');
  expect(await refusal(opened(renewed))).toEqual(['key-unavailable', 'absent', 'it has no such key']);
});

test('who may not is told so', async () => {
  expect(await refusal(wrap(undefined, 'stranger'))).toEqual([
    'key-unavailable',
    'denied',
    'it answers 403: 2 errors occurred: * permission denied * invalid token',
  ]);
  expect((await refusal(wrap(undefined, 'reader')))[1]).toBe('denied');
});

test('a mount that is not there, and a server that is sealed', async () => {
  expect((await refusal(wrap('other/images')))[1]).toBe('absent');
  vault.isSealed = true;
  expect(await refusal(wrap())).toEqual(['key-unavailable', 'unreachable', 'it is sealed, tried 4 times']);
  vault.isSealed = false;
});

test.each([
  ['rsa-4096', false, 'a key of type rsa-4096'],
  ['aes256-gcm96', true, 'one for derivation'],
])('a key of type %s, derived: %s, is refused', async (type, derived, said) => {
  Object.assign(vault.addKey('odd'), { type, derived });
  expect(await refusal(wrap('team/transit/odd'))).toEqual([
    'key-unavailable',
    'refused',
    expect.stringContaining(said),
  ]);
});

test.each<[string, string, RequestListener]>([
  ['text', 'garbage', (_request, response) => response.end('<html>')],
  ['nothing', 'garbage', (_request, response) => response.end()],
  ['another object', 'garbage', (_request, response) => response.end('{"data":{"keys":7}}')],
  [
    'ciphertext of another kind',
    'garbage',
    (_request, response) => response.end('{"data":{"type":"aes256-gcm96","ciphertext":"plain text"}}'),
  ],
  [
    'an error that is long and has escapes',
    'refused',
    (_request, response) => response.writeHead(400).end(JSON.stringify({ errors: ['\x1b[2J'.repeat(1000)] })),
  ],
  ['a redirect', 'refused', (request, response) => response.writeHead(307, { location: `${request.url}x` }).end()],
  [
    'without end',
    'garbage',
    (_request, response) => {
      const more = (): void => {
        while (response.write('x'.repeat(4096)));
      };
      response.on('drain', more);
      more();
    },
  ],
])('a server that answers %s', async (_what, reason, answer) => {
  const { server } = vault;
  const usual = server.answer;
  server.answer = answer;
  try {
    const [code, found, message] = await refusal(wrap());
    expect([code, found]).toEqual(['key-unavailable', reason]);
    expect(String(message).length).toBeLessThan(500);
    expect(message).not.toContain('\x1b');
  } finally {
    server.answer = usual;
  }
});

test('what is no ciphertext is not sent to the server', async () => {
  const slot = await wrap();
  vault.asked.length = 0;
  for (const text of ['vault:v1:', 'vault:v1:a b', '{"a":1}', 'vault:vx:AAAA', 'vault:v1:AAAA\n']) {
    const forged = { ...slot, encrypted_key: Buffer.from(text).toString('base64url') };
    expect(await (await open()).unwrap([forged], imageId)).toBeUndefined();
  }
  expect(vault.asked).toEqual([]);
});

test.each([
  'vault:',
  'vault:transit/k',
  'vault://h',
  'vault://h/k',
  'vault://h/transit/',
  'vault://h/../k',
  'vault://h/a/%2e/k',
  'vault://u:hunter2@h/a/k',
  'vault://h/a/k?x',
  'vault://h:99999/a/k',
  'vault://h/a b/k',
  `vault://h/${'mount/'.repeat(90)}k`,
])('%s names no key', async (text) => {
  await expect(openKeyService(text, {})).rejects.toMatchObject({
    code: 'bad-argument',
    message: expect.not.stringContaining('hunter2'),
  });
});

test('the port is 8200 where none is named', async () => {
  expect((await openKeyService('vault://h.example/transit/k', {})).source).toBe('vault://h.example:8200/transit/k');
  expect((await openKeyService('vault://[::1]:443/transit/k', {})).source).toBe('vault://[::1]:443/transit/k');
});
