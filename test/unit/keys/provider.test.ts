import { describe, expect, test } from 'vitest';
import { CkptfsError } from '../../../src/base/errors.ts';
import { Secret } from '../../../src/crypto/secret.ts';
import type { SlotJwe } from '../../../src/format/slot.ts';
import { keyFileProvider } from '../../../src/keys/key-file.ts';
import { unwrapImageKey } from '../../../src/keys/provider.ts';

const imageKey = Secret.random(32);
const providers = [16, 24, 32].map((length) => keyFileProvider(Secret.random(length)));
const stranger = keyFileProvider(Secret.random(32));

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
    const slots = [unknown, ...(await Promise.all(providers.map((provider) => provider.wrap(imageKey))))];
    for (const provider of providers) {
      const opened = await unwrapImageKey(slots, [stranger, provider]);
      expect(Buffer.from(opened.bytes)).toEqual(Buffer.from(imageKey.bytes));
    }
  });

  test('says so when no key fits', async () => {
    const slots = [unknown, await stranger.wrap(imageKey)];
    const error = await failure(unwrapImageKey(slots, providers));
    expect(error.code).toBe('wrong-key');
    expect(error.message).toBe('the given key file does not open any of the 2 key slots of this image');
    const single = await failure(unwrapImageKey([unknown], providers));
    expect(single.message).toBe('the given key file does not open the one key slot of this image');
  });

  test('says so when there is no key at all', async () => {
    expect((await failure(unwrapImageKey([unknown], []))).code).toBe('no-key');
  });
});
