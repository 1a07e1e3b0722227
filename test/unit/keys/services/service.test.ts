import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { CkptfsError } from '../../../../src/base/errors.ts';
import { Secret } from '../../../../src/crypto/secret.ts';
import { slotParameters } from '../../../../src/format/slot.ts';
import { type KeyService, serviceProvider } from '../../../../src/keys/services/service.ts';
import { testContract } from './contract.ts';

const heldKeys = new Map([['7', randomBytes(32)]]);
let asked = 0;

/** A service of this process: AES-256-GCM under a key that it holds, with the context as additional data. */
function service(keyId: string, leaseSeconds?: number): KeyService {
  const key = (id: string): Buffer => {
    const found = heldKeys.get(id);
    if (found !== undefined) return found;
    throw new CkptfsError('key-unavailable', `kmip://test/${id}: no key`, { data: { reason: 'absent' } });
  };
  return {
    name: 'kmip',
    source: `kmip://test/${keyId}`,
    place: `kmip://test/${keyId}`,
    keyForMaking: async () => {
      key(keyId);
      return keyId;
    },
    mayOpen: (id) => id === keyId,
    wrap: async (contentKey, id, context) => {
      const iv = randomBytes(12);
      const cipher = createCipheriv('aes-256-gcm', key(id), iv).setAAD(context);
      return Buffer.concat([iv, cipher.update(contentKey.bytes), cipher.final(), cipher.getAuthTag()]);
    },
    unwrap: async (wrapped, id, context) => {
      asked++;
      if (wrapped.length !== 60) return undefined;
      const cipher = createDecipheriv('aes-256-gcm', key(id), wrapped.subarray(0, 12)).setAAD(context);
      cipher.setAuthTag(wrapped.subarray(44));
      try {
        const contentKey = Buffer.concat([cipher.update(wrapped.subarray(12, 44)), cipher.final()]);
        return { contentKey: Secret.take(contentKey), leaseSeconds };
      } catch {
        return undefined;
      }
    },
    close: () => undefined,
  };
}

describe('a service that wraps content keys', () => {
  testContract({
    kind: 'kmip',
    open: () => serviceProvider(service('7'), 'kmip'),
    openAbsent: () => serviceProvider(service('8'), 'kmip'),
    secrets: [],
  });
});

const imageId = Buffer.alloc(16, 1);

test('its slots name the service and its key, as format.md has it', async () => {
  const slot = await serviceProvider(service('7'), 'kmip').wrap(Secret.random(32), imageId);
  expect(Object.fromEntries(slotParameters(slot) ?? [])).toEqual({
    alg: 'ckptfs-kmip',
    enc: 'A256GCM',
    ckptfs: imageId.toString('hex'),
    kid: '7',
  });
  expect(slot.header?.subject).toBe('kmip://test/7');
});

test('what it says of a lease is passed on', async () => {
  const provider = serviceProvider(service('7', 3600), 'kmip');
  const slot = await provider.wrap(Secret.random(32), imageId);
  expect(await provider.unwrap([slot], imageId)).toMatchObject({ slot: 0, leaseSeconds: 3600 });
});

test('it is not asked for keys that were not named, nor for more than eight slots', async () => {
  heldKeys.set('other', randomBytes(32));
  const slot = await serviceProvider(service('other'), 'kmip').wrap(Secret.random(32), imageId);
  asked = 0;
  const provider = serviceProvider(service('7'), 'kmip');
  expect(await provider.unwrap([slot], imageId)).toBeUndefined();
  expect(asked).toBe(0);
  const own = await provider.wrap(Secret.random(32), imageId);
  const forged = { ...own, encrypted_key: randomBytes(60).toString('base64url') };
  expect(await provider.unwrap([...Array.from({ length: 20 }, () => forged), own], imageId)).toBeUndefined();
  expect(asked).toBe(8);
});

test('what it says of one slot leaves the others, and is said when none opens', async () => {
  const refusing = (reason: 'revoked' | 'unreachable'): KeyService => ({
    ...service('7'),
    unwrap: async (wrapped, id, context, deadline) => {
      if (wrapped.length === 60) return service('7').unwrap(wrapped, id, context, deadline);
      throw new CkptfsError('key-unavailable', reason, { data: { reason } });
    },
  });
  const own = await serviceProvider(service('7'), 'kmip').wrap(Secret.random(32), imageId);
  const old = { ...own, encrypted_key: randomBytes(8).toString('base64url') };
  const revoked = serviceProvider(refusing('revoked'), 'kmip');
  expect(await revoked.unwrap([old, own], imageId)).toMatchObject({ slot: 1 });
  await expect(revoked.unwrap([old, old], imageId)).rejects.toMatchObject({ data: { reason: 'revoked' } });
  const unreachable = serviceProvider(refusing('unreachable'), 'kmip');
  await expect(unreachable.unwrap([old, own], imageId)).rejects.toMatchObject({ data: { reason: 'unreachable' } });
});

test('all slots of an image have one time together', async () => {
  let tries = 0;
  const slow: KeyService = {
    ...service('7'),
    unwrap: async (_wrapped, _id, _context, deadline) => {
      tries++;
      while (!deadline.hasPassed) await new Promise((resolve) => setTimeout(resolve, 5));
      return undefined;
    },
  };
  const own = await serviceProvider(service('7'), 'kmip').wrap(Secret.random(32), imageId);
  const opening = serviceProvider(slow, 'kmip', 0.05).unwrap([own, own, own], imageId);
  await expect(opening).rejects.toMatchObject({ code: 'key-unavailable', data: { reason: 'timeout' } });
  expect(tries).toBe(1);
});

test.each(['', 'two words', 'x'.repeat(513), 'é'])('no slot is made with the key id "%s"', async (keyId) => {
  const named: KeyService = { ...service('7'), keyForMaking: async () => keyId };
  await expect(serviceProvider(named, 'kmip').wrap(Secret.random(32), imageId)).rejects.toThrow('key id');
});
