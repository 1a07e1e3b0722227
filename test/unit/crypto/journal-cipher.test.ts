import { createCipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { chacha20poly1305 } from '@noble/ciphers/chacha.js';
import { describe, expect, test } from 'vitest';
import { MalformedError } from '../../../src/base/bytes.ts';
import { deriveJournalKey } from '../../../src/crypto/image-keys.ts';
import { JournalCipher } from '../../../src/crypto/journal-cipher.ts';
import { Secret } from '../../../src/crypto/secret.ts';
import { primitives } from '../../../src/crypto/select.ts';
import { encodeJournalHeader, FRAME_OVERHEAD } from '../../../src/format/journal-codec.ts';
import { suiteNames } from '../../../src/format/suites.ts';

const imageKey = Secret.random(32);
const imageId = randomBytes(16);
const journalId = randomBytes(16);
const header = encodeJournalHeader(journalId);

const all = suiteNames.flatMap((suite) => (['openssl', 'node'] as const).map((name) => [suite, name] as const));

describe.each(all)('frames of a journal of suite %s over %s', (suite, name) => {
  const p = primitives(name);
  const cipher = new JournalCipher(p, imageKey, imageId, header, suite);

  test('open gives what was sealed, at any length', () => {
    for (const length of [1, 31, 64, 65, 4096, 100_000]) {
      const plain = randomBytes(length);
      const frame = cipher.seal(length, plain);
      expect(frame.length).toBe(length + FRAME_OVERHEAD);
      expect(frame.readUInt32LE(0)).toBe(length);
      expect(cipher.open(length, frame)?.equals(plain)).toBe(true);
    }
  });

  test('is what format.md §8 says', () => {
    const [plain, number] = [randomBytes(500), 2 ** 33 + 5];
    const frame = cipher.seal(number, plain);
    const additional = Buffer.alloc(44);
    header.copy(additional);
    additional.writeBigUInt64LE(BigInt(number), 32);
    additional.writeUInt32LE(plain.length, 40);
    const key = deriveJournalKey(p, imageKey, imageId, journalId).bytes;
    const random = frame.subarray(4, 16);
    const expected =
      suite === 'fips'
        ? byFrameKey(key, number, random, additional, plain)
        : chacha20poly1305(key, random, additional).encrypt(plain);
    expect(frame.subarray(16).equals(expected)).toBe(true);
  });

  test('two frames of the same entries have nothing in common but their length', () => {
    const plain = Buffer.alloc(64, 1);
    const [first, second] = [cipher.seal(0, plain), cipher.seal(0, plain)];
    expect(first.subarray(4, 16).equals(second.subarray(4, 16))).toBe(false);
    expect(first.subarray(16).equals(second.subarray(16))).toBe(false);
  });

  test('does not open with any bit flipped, cut, lengthened, or as a frame of another number', () => {
    const frame = cipher.seal(3, randomBytes(40));
    for (let bit = 0; bit < frame.length * 8; bit++) {
      const changed = Buffer.from(frame);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(cipher.open(3, changed)).toBeUndefined();
    }
    for (let length = 0; length < frame.length; length++) {
      expect(cipher.open(3, frame.subarray(0, length))).toBeUndefined();
    }
    expect(cipher.open(3, Buffer.concat([frame, Buffer.alloc(1)]))).toBeUndefined();
    expect(cipher.open(2, frame)).toBeUndefined();
    expect(cipher.open(3 + 2 ** 32, frame)).toBeUndefined();
    expect(cipher.open(3, frame)).toBeDefined();
  });

  test('does not open in another journal, another image, or under another key', () => {
    const frame = cipher.seal(0, randomBytes(40));
    const others = [
      new JournalCipher(p, imageKey, imageId, encodeJournalHeader(randomBytes(16)), suite),
      new JournalCipher(p, imageKey, randomBytes(16), header, suite),
      new JournalCipher(p, Secret.random(32), imageId, header, suite),
      new JournalCipher(p, imageKey, imageId, header, suite === 'fips' ? 'default' : 'fips'),
    ];
    for (const other of others) expect(other.open(0, frame)).toBeUndefined();
    expect(new JournalCipher(p, imageKey, imageId, header, suite).open(0, frame)).toBeDefined();
  });

  test('refuses bytes that are not a header, and use after disposal', () => {
    expect(() => new JournalCipher(p, imageKey, imageId, header.subarray(1))).toThrow(MalformedError);
    expect(() => new JournalCipher(p, imageKey, imageId.subarray(1), header)).toThrow('image id');
    const disposed = new JournalCipher(p, imageKey, imageId, header, suite);
    const frame = disposed.seal(0, Buffer.alloc(1));
    disposed.dispose();
    expect(() => disposed.seal(1, Buffer.alloc(1))).toThrow('wiped');
    expect(() => disposed.open(0, frame)).toThrow('wiped');
  });
});

/** AES-256-GCM under a key of this frame, and a nonce of zeros. */
function byFrameKey(key: Uint8Array, number: number, random: Buffer, additional: Buffer, plain: Buffer): Buffer {
  const salt = Buffer.alloc(20);
  salt.writeBigUInt64LE(BigInt(number));
  random.copy(salt, 8);
  const frameKey = Buffer.from(hkdfSync('sha256', key, salt, 'ckptfs 1 journal frame', 32));
  const sealing = createCipheriv('aes-256-gcm', frameKey, Buffer.alloc(12));
  sealing.setAAD(additional);
  return Buffer.concat([sealing.update(plain), sealing.final(), sealing.getAuthTag()]);
}
