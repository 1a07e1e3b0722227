import { describe, expect, test } from 'vitest';
import { CkptfsError } from '../../../src/base/errors.ts';
import { Secret } from '../../../src/crypto/secret.ts';
import type { SlotJwe } from '../../../src/format/slot.ts';
import { type Identity, type KeyProvider, unwrapImageKey } from '../../../src/keys/provider.ts';
import { symmetricKeyProvider } from '../../../src/keys/symmetric-key.ts';

const imageKey = Secret.random(32);
const imageId = Buffer.alloc(16, 7);
const providers = [16, 24, 32].map((length) => symmetricKeyProvider(Secret.random(length), `key of ${length} bytes`));
const stranger = symmetricKeyProvider(Secret.random(32));

/** A slot for a kind of key this version does not know. */
const unknown: SlotJwe = {
  protected: Buffer.from('{"alg":"ECDH-ES+A256KW","enc":"A256GCM","epk":{}}').toString('base64url'),
  encrypted_key: 'AAAA',
  iv: 'AAAA',
  ciphertext: 'AAAA',
  tag: 'AAAA',
};

async function failure(promise: Promise<unknown>): Promise<CkptfsError> {
  const error = await promise.catch((reason: unknown) => reason);
  if (error instanceof CkptfsError) return error;
  throw new Error('no CkptfsError was thrown');
}

describe('unwrapImageKey', () => {
  test('opens with any one of several keys, among slots of others', async () => {
    const slots = [unknown, ...(await Promise.all(providers.map((provider) => provider.wrap(imageKey, imageId))))];
    for (const [at, provider] of providers.entries()) {
      const opened = await unwrapImageKey(slots, imageId, [stranger, provider]);
      expect(Buffer.from(opened.imageKey.bytes)).toEqual(Buffer.from(imageKey.bytes));
      expect(opened).toMatchObject({ slot: at + 1, source: provider.source });
    }
  });

  test('says so when no key fits', async () => {
    const slots = [unknown, await stranger.wrap(imageKey, imageId)];
    const error = await failure(unwrapImageKey(slots, imageId, providers));
    expect(error.code).toBe('wrong-key');
    expect(error.message).toBe(
      'key of 16 bytes, key of 24 bytes and key of 32 bytes do not open any of the 2 key slots of this image',
    );
    const single = await failure(unwrapImageKey([unknown], imageId, [stranger]));
    expect(single.message).toBe('the given key does not open the one key slot of this image');
  });

  test('tries the other keys after one that does not fit, and then says what they said', async () => {
    const wrong = (source: string, code: 'wrong-key' | 'damaged' = 'wrong-key'): Identity => ({
      source,
      unwrap: () => Promise.reject(new CkptfsError(code, `${source} does not fit`)),
    });
    const slots = await Promise.all(providers.map((provider) => provider.wrap(imageKey, imageId)));
    const [right] = providers as [KeyProvider];
    expect(await unwrapImageKey(slots, imageId, [wrong('a'), wrong('b'), right])).toMatchObject({ slot: 0 });
    const error = await failure(unwrapImageKey(slots, imageId, [stranger, wrong('a'), wrong('b'), stranger]));
    expect([error.code, error.message]).toEqual(['wrong-key', 'a does not fit; b does not fit']);
    const other = await failure(unwrapImageKey(slots, imageId, [wrong('a', 'damaged'), right]));
    expect(other.code).toBe('damaged');
  });

  test.each(['absent', 'denied', 'revoked'] as const)('tries the other keys after one that is %s', async (reason) => {
    const [right] = providers as [KeyProvider];
    const refused: Identity = {
      source: 'old key',
      unwrap: () => Promise.reject(new CkptfsError('key-unavailable', 'old key: no', { data: { reason } })),
    };
    const slots = [await right.wrap(imageKey, imageId)];
    expect(await unwrapImageKey(slots, imageId, [refused, right])).toMatchObject({ slot: 0 });
    expect((await failure(unwrapImageKey(slots, imageId, [refused, stranger]))).message).toBe('old key: no');
  });

  test('ends with a key of which it is not known whether it may be used', async () => {
    const [right] = providers as [KeyProvider];
    const unreachable: Identity = {
      source: 'key',
      unwrap: () => Promise.reject(new CkptfsError('key-unavailable', 'no', { data: { reason: 'unreachable' } })),
    };
    const slots = [await right.wrap(imageKey, imageId)];
    expect((await failure(unwrapImageKey(slots, imageId, [unreachable, right]))).code).toBe('key-unavailable');
  });

  test('takes a header for damaged that has slots of other images only', async () => {
    const other = Buffer.alloc(16, 8);
    const slots = [await stranger.wrap(imageKey, other), await stranger.wrap(imageKey, other)];
    const error = await failure(unwrapImageKey(slots, imageId, [stranger]));
    expect([error.code, error.message]).toEqual(['damaged', 'the header has key slots of other images only']);
    const mixed = [...slots, await stranger.wrap(imageKey, imageId)];
    expect((await unwrapImageKey(mixed, imageId, [stranger])).slot).toBe(2);
  });

  test('says so when there is no key at all', async () => {
    expect((await failure(unwrapImageKey([unknown], imageId, []))).code).toBe('no-key');
  });
});
