import { hkdfSync, randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import {
  deriveHeaderMacKey,
  deriveJournalKey,
  deriveManifestKey,
  deriveObjectDataKey,
  deriveObjectMacKey,
} from '../../../src/crypto/image-keys.ts';
import { Secret } from '../../../src/crypto/secret.ts';
import { primitives } from '../../../src/crypto/select.ts';

const imageKey = Secret.random(32);
const imageId = randomBytes(16);
const objectId = randomBytes(16);
const both = Buffer.concat([imageId, objectId]);

/** The table in format.md §3, in its own words. */
function expected(salt: Buffer, info: string, length: number): Buffer {
  return Buffer.from(hkdfSync('sha256', imageKey.bytes, salt, info, length));
}

describe.each(['openssl', 'node'] as const)('%s', (name) => {
  const p = primitives(name);

  test('keys of the image', () => {
    const header = deriveHeaderMacKey(p, imageKey, imageId);
    const manifest = deriveManifestKey(p, imageKey, imageId);
    expect(Buffer.from(header.bytes)).toEqual(expected(imageId, 'ckptfs 1 header mac', 32));
    expect(Buffer.from(manifest.bytes)).toEqual(expected(imageId, 'ckptfs 1 manifest', 32));
  });

  test('key of a journal', () => {
    const key = deriveJournalKey(p, imageKey, imageId, objectId);
    expect(Buffer.from(key.bytes)).toEqual(expected(both, 'ckptfs 1 journal', 32));
  });

  test.each([
    ['aes-256-xts', 64],
    ['aes-128-xts', 32],
    ['chacha20-poly1305', 32],
    ['aes-256-gcm', 32],
  ] as const)('data key of an object, %s', (cipher, length) => {
    const key = deriveObjectDataKey(p, cipher, imageKey, imageId, objectId);
    expect(Buffer.from(key.bytes)).toEqual(expected(both, `ckptfs 1 object ${cipher}`, length));
  });

  test.each(['aes-256-xts', 'aes-128-xts', 'none'] as const)('MAC key of an object, %s', (cipher) => {
    const key = deriveObjectMacKey(p, cipher, imageKey, imageId, objectId);
    expect(Buffer.from(key.bytes)).toEqual(expected(both, `ckptfs 1 object mac ${cipher}`, 32));
  });
});
