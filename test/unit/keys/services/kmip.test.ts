import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { CkptfsError } from '../../../../src/base/errors.ts';
import { Secret } from '../../../../src/crypto/secret.ts';
import type { Slot } from '../../../../src/format/slot.ts';
import { slotParameters } from '../../../../src/format/slot.ts';
import { text, versionItem } from '../../../../src/keys/kmip/messages.ts';
import { tag } from '../../../../src/keys/kmip/tags.ts';
import { openKeyService } from '../../../../src/keys/services/registry.ts';
import type { ServiceProvider } from '../../../../src/keys/services/service.ts';
import type { SourceOptions } from '../../../../src/keys/sources/source.ts';
import { KmipServer, Refusal, response } from '../../../support/kmip-server.ts';
import { TlsAuthority } from '../../../support/tls-authority.ts';
import { testContract } from './contract.ts';

const [authority, strangers] = [new TlsAuthority(), new TlsAuthority()];
const certificate = authority.issue('server', 'IP:127.0.0.1');
/** Long enough to be reached by what hangs alone. */
const patient: SourceOptions = { caFile: authority.caFile, timeoutSeconds: 60 };
const imageId = Buffer.alloc(16, 0x5e);

let server: KmipServer;
beforeAll(async () => {
  server = await KmipServer.start(certificate);
});
afterAll(async () => {
  await server.close();
  for (const one of [authority, strangers]) one.remove();
});
beforeEach(() => {
  server.answer = (name, payload) => server.honest(name, payload);
  server.onConnection = undefined;
  server.delayMilliseconds = 0;
  server.versions = ['2.0', '1.4', '1.3', '1.2'];
  server.operations = ['encrypt', 'decrypt', 'obtainLease'];
  server.keys.clear();
  server.addKey('7');
  server.asked.length = 0;
});

const open = (rest: string, options: SourceOptions = patient): Promise<ServiceProvider> =>
  openKeyService(`kmip://${server.host}${rest}`, options);

async function made(rest = '/7'): Promise<{ readonly slot: Slot; readonly key: Buffer }> {
  const provider = await open(rest);
  const imageKey = Secret.random(32);
  try {
    return { slot: await provider.wrap(imageKey, imageId), key: Buffer.from(imageKey.bytes) };
  } finally {
    provider.wipe();
  }
}

async function opened(rest: string, ...slots: Slot[]): Promise<Buffer | undefined> {
  const provider = await open(rest);
  try {
    const found = await provider.unwrap(slots, imageId);
    return found && Buffer.from(found.imageKey.bytes);
  } finally {
    provider.wipe();
  }
}

/** Returns the reason of a failure, and its message without the port. */
async function failure(work: Promise<unknown>): Promise<readonly unknown[]> {
  const error = await work.then(
    () => {
      throw new Error('it was done');
    },
    (thrown: CkptfsError) => thrown,
  );
  const reason = (error.data as { reason?: string } | undefined)?.reason;
  return [error.code, reason, error.message.replaceAll(server.host, 'HOST')];
}

describe.each(['2.0', '1.4', '1.3', '1.2'])('KMIP %s', (version) => {
  testContract({
    kind: 'kmip',
    open: () => open(`/7?version=${version}`),
    openAbsent: () => open('/8'),
    secrets: [],
  });
});

describe('the key', () => {
  test('wraps content keys where it is, with the context of the slot', async () => {
    const { slot, key } = await made();
    expect(slotParameters(slot)?.get('alg')).toBe('ckptfs-kmip');
    expect(slotParameters(slot)?.get('kid')).toBe('7');
    expect(Buffer.from(slot.encrypted_key, 'base64url').length).toBe(60);
    expect(server.asked).not.toContain('get');
    expect(await opened('/7', slot)).toEqual(key);
  });

  test('is found by its name, and opens what was made by its identifier', async () => {
    const { slot, key } = await made('/name%20of%207');
    expect(slotParameters(slot)?.get('kid')).toBe('7');
    expect(await opened('/7', slot)).toEqual(key);
    expect(await opened('/name%20of%207', slot)).toEqual(key);
  });

  test('of several with one name is the active one', async () => {
    server.keys.clear();
    server.addKey('1', 'deactivated', 'fleet');
    server.addKey('2', 'active', 'fleet');
    expect(slotParameters((await made('/fleet')).slot)?.get('kid')).toBe('2');
    server.addKey('3', 'active', 'fleet');
    expect((await failure(made('/fleet'))).slice(0, 2)).toEqual(['key-unavailable', 'refused']);
  });

  test('that is named by its identifier is never one of that name', async () => {
    server.addKey('9', 'active', '8');
    expect((await failure(made('/8')))[1]).toBe('absent');
    server.addKey('10', 'active', 'fleet');
    server.answer = (name, payload) => {
      if (name === 'getAttributes') throw new Refusal(0x0c, 'so');
      return server.honest(name, payload);
    };
    expect((await failure(made('/fleet')))[1]).toBe('denied');
    expect(server.asked).not.toContain('locate');
  });

  test('that is refused does not keep another slot from opening', async () => {
    const { slot } = await made();
    server.addKey('8');
    const other = await made('/8');
    server.addKey('7', 'deactivated');
    expect(await opened('', slot, other.slot)).toEqual(other.key);
    expect((await failure(opened('', slot)))[1]).toBe('revoked');
    server.keys.delete('7');
    expect(await opened('/8', slot, other.slot)).toEqual(other.key);
    expect(await opened('/7', other.slot)).toBeUndefined();
  });

  test('need not be named to open slots, but to make them', async () => {
    const { slot, key } = await made();
    expect(await opened('', slot)).toEqual(key);
    expect(await failure(made(''))).toEqual([
      'bad-argument',
      undefined,
      'kmip://HOST names no key, which a new key slot needs',
    ]);
  });

  test.each([
    ['pre-active', 'denied'],
    ['deactivated', 'revoked'],
    ['compromised', 'revoked'],
    ['destroyed', 'revoked'],
    ['destroyed-compromised', 'revoked'],
  ] as const)('that is %s is not used, whatever the server does', async (state, reason) => {
    const { slot } = await made();
    const byKey = (await made('/7?use=get')).slot;
    server.addKey('7', state);
    server.asked.length = 0;
    for (const [rest, one] of [
      ['/7', slot],
      ['', slot],
      ['/7?use=get', byKey],
    ] as const)
      expect((await failure(opened(rest, one))).slice(0, 2)).toEqual(['key-unavailable', reason]);
    expect((await failure(made()))[1]).toBe(reason);
    for (const name of ['get', 'encrypt', 'decrypt'] as const) expect(server.asked).not.toContain(name);
  });

  test('has a lease where the server gives one', async () => {
    const { slot } = await made();
    expect(await (await open('/7')).unwrap([slot], imageId)).toMatchObject({ leaseSeconds: 3600 });
    server.answer = (name, payload) =>
      name === 'obtainLease' ? [{ tag: tag.leaseTime, type: 'interval', value: 0 }] : server.honest(name, payload);
    expect(await (await open('/7')).unwrap([slot], imageId)).toMatchObject({ leaseSeconds: 1 });
    server.operations = ['encrypt', 'decrypt'];
    expect((await (await open('/7')).unwrap([slot], imageId))?.leaseSeconds).toBeUndefined();
  });

  test.each(['/7', '/name%20of%207', '/7?use=get'])('%s is revoked and then destroyed, for its slot', async (rest) => {
    const { slot } = await made(rest);
    const provider = await open(rest);
    expect(await provider.destroyKeyOf?.([slot], imageId)).toEqual([0]);
    expect(server.asked.filter((name) => name === 'revoke' || name === 'destroy')).toEqual(['revoke', 'destroy']);
    expect(server.keys.size).toBe(0);
    expect((await failure(provider.unwrap([slot], imageId))).slice(0, 2)).toEqual(['key-unavailable', 'absent']);
  });

  test('that is destroyed already is found destroyed', async () => {
    const { slot } = await made();
    server.keys.clear();
    expect(await (await open('/7')).destroyKeyOf?.([slot], imageId)).toEqual([0]);
  });

  test('is kept where no slot is for it, or it is not named', async () => {
    const { slot } = await made();
    server.addKey('8');
    server.addKey('9', 'deactivated', 'name of 7');
    for (const rest of ['/8', '', '/8?use=get', '/name%20of%207'])
      expect((await failure((await open(rest)).destroyKeyOf?.([slot], imageId) ?? Promise.resolve()))[0]).toBe(
        'bad-argument',
      );
    expect(server.keys.size).toBe(3);
  });
});

describe('a key that is fetched', () => {
  test.each([
    ['because the address says so', '/7?use=get', ['encrypt', 'decrypt', 'obtainLease']],
    ['because the server does not encrypt', '/7', ['obtainLease']],
    ['because its version has no additional data', '/7?version=1.3', ['encrypt', 'decrypt', 'obtainLease']],
  ] as const)('%s makes a slot of AES Key Wrap', async (_why, rest, operations) => {
    server.operations = operations;
    const { slot, key } = await made(rest);
    expect(slotParameters(slot)?.get('alg')).toBe('A256KW');
    expect(slot.header?.kind).toBe('kmip');
    expect(await opened(rest, slot)).toEqual(key);
    expect(await (await open(rest)).unwrap([slot], imageId)).toMatchObject({ slot: 0, leaseSeconds: 3600 });
  });

  test('is not fetched for slots that do not ask for it, nor unless it is wanted', async () => {
    const { slot } = await made('/7?use=get');
    server.asked.length = 0;
    expect(await failure(opened('/7', slot))).toEqual([
      'wrong-key',
      undefined,
      'kmip://HOST/7 opens no slot of this image; for a slot of the key itself, add ?use=get',
    ]);
    expect(await opened('/7', { ...slot, header: { kind: 'key' } })).toBeUndefined();
    expect(await opened('', slot)).toBeUndefined();
    expect(server.asked).not.toContain('get');
  });
});

describe('what a server refuses', () => {
  test.each([
    [0x01, 'absent', 'the server has no such key (so)'],
    [0x0c, 'denied', 'the server does not allow it (so)'],
    [0x03, 'denied', 'the server does not allow it (so)'],
    [0x36, 'revoked', 'the key is destroyed (so)'],
    [0x05, 'refused', 'the server does not do it, with result reason 5 (so)'],
  ])('with reason %i is final', async (number, reason, message) => {
    server.answer = (name, payload) => {
      if (name === 'encrypt') throw new Refusal(number, 'so');
      return server.honest(name, payload);
    };
    expect(await failure(made())).toEqual(['key-unavailable', reason, `kmip://HOST/7: ${message}`]);
    expect(server.asked.filter((name) => name === 'encrypt').length).toBe(1);
  });

  test('for a moment is asked for again', async () => {
    let refusals = 2;
    server.answer = (name, payload) => {
      if (name === 'encrypt' && refusals-- > 0) throw new Refusal(0x2a, 'busy');
      return server.honest(name, payload);
    };
    await made();
    expect(server.asked.filter((name) => name === 'encrypt').length).toBe(3);
  });
});

test('below KMIP 1.3 nothing is done unless the address has that version', async () => {
  server.versions = ['1.2'];
  expect(await failure(made())).toEqual([
    'key-unavailable',
    'refused',
    'kmip://HOST/7: HOST: it has KMIP 1.2; 2.0 or 1.4 or 1.3 is wanted',
  ]);
  await made('/7?version=1.2');
});

test('the certificate of the server is checked, whatever NODE_TLS_REJECT_UNAUTHORIZED says', async () => {
  vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
  for (const options of [{}, { caFile: strangers.caFile }]) {
    const provider = await open('/7', options);
    expect((await failure(provider.prepare())).slice(0, 2)).toEqual(['key-unavailable', 'certificate']);
  }
  vi.unstubAllEnvs();
  expect(server.asked).toEqual([]);
});

test.each<[what: string, ...issued: Parameters<TlsAuthority['issue']>]>([
  ['that has expired', 'other', 'DNS:localhost', -1],
  ['for another host', 'other', 'DNS:elsewhere.example', 1],
  ['that has the host as its common name alone', 'localhost', 'email:a@elsewhere.example', 1],
  ['for clients', 'other', 'DNS:localhost', 1, 'clientAuth'],
])('a certificate %s is not accepted', async (_what, ...issued) => {
  const other = await KmipServer.start(authority.issue(...issued));
  const provider = await openKeyService(`kmip://${other.host.replace('127.0.0.1', 'localhost')}/7`, patient);
  expect((await failure(provider.prepare())).slice(0, 2)).toEqual(['key-unavailable', 'certificate']);
  expect(other.asked).toEqual([]);
  await other.close();
});

test('a signal ends the waiting for a server', async () => {
  server.onConnection = (socket) => socket.once('data', () => process.emit('SIGINT'));
  const provider = await open('/7');
  expect((await failure(provider.prepare()))[0]).toBe('interrupted');
});

test('one connection serves all that a command asks, until the server ends it', async () => {
  const before = server.connections;
  const provider = await open('/7');
  const slot = await provider.wrap(Secret.random(32), imageId);
  expect(await provider.unwrap([slot], imageId)).toMatchObject({ slot: 0 });
  expect(server.connections - before).toBe(1);
  await server.endConnections();
  expect(await provider.unwrap([slot], imageId)).toMatchObject({ slot: 0 });
  expect(server.connections - before).toBe(2);
  provider.wipe();
});

describe('several servers', () => {
  test('are tried in order, and one that does not answer costs its share of the time once', async () => {
    const silent = await KmipServer.start(certificate);
    silent.onConnection = () => undefined;
    const text = `kmip://${silent.host},${server.host}/7`;
    const options = { ...patient, timeoutSeconds: 2 };
    await (await openKeyService(text, options)).prepare();
    await (await openKeyService(text, options)).prepare();
    expect(silent.connections).toBe(1);
    await silent.close();
  });

  test('that all fail are all named', async () => {
    const gone = await KmipServer.start(certificate);
    const { host } = gone;
    await gone.close();
    server.onConnection = (socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n');
    const provider = await openKeyService(`kmip://${host},${server.host}/7`, patient);
    const [code, reason, message] = await failure(provider.prepare());
    expect([code, reason]).toEqual(['key-unavailable', 'garbage']);
    expect(message).toContain(`${host}: no connection (ECONNREFUSED)`);
    expect(message).toContain('HOST: it does not speak KMIP');
  });
});

const versionsAnswer = (): Buffer => response('discoverVersions', [versionItem('1.4'), versionItem('1.3')]);

describe('an answer', () => {
  test.each([
    ['of more than was asked', (whole: Buffer) => Buffer.concat([whole, Buffer.alloc(8)])],
    ['of a size that is too large', () => Buffer.from('42007b01fffffff8', 'hex')],
    ['of other bytes', () => Buffer.alloc(64, 0x20)],
    ['that is padded wrongly', (whole: Buffer) => Buffer.concat([whole.subarray(0, -1), Buffer.of(1)])],
  ])('%s is not believed', async (_what, change) => {
    server.onConnection = (socket) => socket.once('data', () => socket.write(change(versionsAnswer())));
    expect((await failure(made())).slice(0, 2)).toEqual(['key-unavailable', 'garbage']);
  });

  test('about another key is not believed', async () => {
    server.answer = (name, payload) => {
      const payloadOfAnother = [text(tag.uniqueIdentifier, '8'), ...server.honest(name, payload)];
      return name === 'encrypt' ? payloadOfAnother : server.honest(name, payload);
    };
    expect(await failure(made())).toEqual([
      'key-unavailable',
      'garbage',
      'kmip://HOST/7: HOST: its answer is wrong: it is about another key',
    ]);
  });

  test('to each of many slots has one time for all of them', async () => {
    const { slot } = await made();
    const forged = { ...slot, encrypted_key: Buffer.alloc(60).toString('base64url') };
    const provider = await open('/7', { ...patient, timeoutSeconds: 1 });
    server.delayMilliseconds = 250;
    const eight = Array.from({ length: 8 }, () => forged);
    expect((await failure(provider.unwrap(eight, imageId))).slice(0, 2)).toEqual(['key-unavailable', 'timeout']);
  });

  test('that never ends is not waited for', async () => {
    server.onConnection = (socket) => socket.once('data', () => socket.write(versionsAnswer().subarray(0, -8)));
    const provider = await open('/7', { ...patient, timeoutSeconds: 0.5 });
    expect((await failure(provider.prepare())).slice(0, 2)).toEqual(['key-unavailable', 'timeout']);
  });
});
