import { createCipheriv } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Region } from '../../../src/base/linux/native.ts';
import type { AeadKey, Primitives } from '../../../src/crypto/primitives.ts';
import { primitives } from '../../../src/crypto/select.ts';
import { hex, regionOf, vectors } from './vectors.ts';

const key32 = Buffer.from(Array.from({ length: 32 }, (_, i) => i));
const nonce = new Region(Buffer.alloc(12, 7));

/** Both implementations are held to everything here. */
describe.each(['openssl', 'node'] as const)('%s', (name) => {
  const p = primitives(name);

  test('is the one that was asked for', () => {
    expect(p.name).toBe(name);
  });

  describe('AES-XTS', () => {
    test.each(vectors<'key' | 'tweak' | 'plaintext' | 'ciphertext'>('xts'))('$source', (vector) => {
      const xts = p.xts(hex(vector.key));
      const [tweak, plain] = [regionOf(vector.tweak), regionOf(vector.plaintext)];
      const out = new Region(plain.length);
      xts.encrypt(tweak, 0, plain, 0, out, 0, plain.length);
      expect(out.bytes.toString('hex')).toBe(vector.ciphertext);
      xts.decrypt(tweak, 0, out, 0, out, 0, plain.length);
      expect(out.bytes.toString('hex')).toBe(vector.plaintext);
      xts.encrypt(tweak, 0, out, 0, out, 0, plain.length);
      expect(out.bytes.toString('hex')).toBe(vector.ciphertext);
    });

    test('works at offsets and touches nothing else', () => {
      const xts = p.xts(Buffer.concat([key32, Buffer.alloc(32, 9)]));
      const memory = new Region(Buffer.alloc(200, 0xee));
      xts.encrypt(memory, 3, memory, 40, memory, 100, 48);
      expect(memory.bytes.subarray(0, 100)).toEqual(Buffer.alloc(100, 0xee));
      expect(memory.bytes.subarray(148)).toEqual(Buffer.alloc(52, 0xee));
      xts.decrypt(memory, 3, memory, 100, memory, 100, 48);
      expect(memory.bytes).toEqual(Buffer.alloc(200, 0xee));
    });

    test.each([32, 64])('refuses a key of %i bytes with two equal halves (IEEE 1619 vector 1 is one)', (length) => {
      expect(() => p.xts(Buffer.alloc(length))).toThrow('halves');
    });

    test.each([0, 16, 31, 33, 48, 96])('refuses a key of %i bytes', (length) => {
      expect(() => p.xts(Buffer.from(Array.from({ length }, (_, i) => i)))).toThrow('XTS key');
    });

    test.each([0, 15, 17, 4095])('refuses a data unit of %i bytes', (length) => {
      const xts = p.xts(Buffer.concat([key32]));
      const memory = new Region(8192);
      expect(() => xts.encrypt(memory, 0, memory, 0, memory, 0, length)).toThrow('data unit');
      expect(() => xts.decrypt(memory, 0, memory, 0, memory, 0, length)).toThrow('data unit');
    });

    test('refuses what does not lie inside a region', () => {
      const xts = p.xts(key32);
      const [small, large] = [new Region(31), new Region(64)];
      expect(() => xts.decrypt(large, 0, small, 0, large, 0, 32)).toThrow('not inside');
      expect(() => xts.decrypt(large, 0, large, 0, small, 0, 32)).toThrow('not inside');
      expect(() => xts.decrypt(large, 49, large, 0, large, 0, 32)).toThrow('not inside');
      expect(() => xts.decrypt(large, -1, large, 0, large, 0, 32)).toThrow('not inside');
      expect(() => xts.decrypt(large, 0, large, Number.NaN, large, 0, 32)).toThrow('not inside');
    });

    test('a disposed key throws', () => {
      const xts = p.xts(key32);
      const memory = new Region(64);
      xts.dispose();
      xts.dispose();
      expect(() => xts.encrypt(memory, 0, memory, 16, memory, 16, 16)).toThrow('wiped');
      expect(() => xts.decrypt(memory, 0, memory, 16, memory, 16, 16)).toThrow('wiped');
    });
  });

  describe('AES-256-GMAC', () => {
    test.each(vectors<'key' | 'nonce' | 'data' | 'tag'>('gmac'))('$source', (vector) => {
      const gmac = p.gmac(hex(vector.key));
      const data = regionOf(vector.data);
      const tag = new Region(18);
      // Twice, to see that nothing is left of the message before; in two parts at every place.
      for (let split = 0; split <= data.length; split++) {
        gmac.begin(regionOf(vector.nonce), 0);
        gmac.update(data, 0, split);
        gmac.update(data, split, data.length - split);
        gmac.finish(tag, 1);
        expect(tag.bytes.toString('hex')).toBe(`00${vector.tag}00`);
        gmac.begin(regionOf(vector.nonce), 0);
        gmac.update(data, 0, data.length);
        expect(gmac.verify(tag, 1)).toBe(true);
      }
    });

    test('no other tag verifies', () => {
      const gmac = p.gmac(key32);
      const data = new Region(Buffer.alloc(100, 3));
      const tag = new Region(16);
      gmac.begin(nonce, 0);
      gmac.update(data, 0, 100);
      gmac.finish(tag, 0);
      for (let bit = 0; bit < 128; bit++) {
        flip(tag, bit);
        gmac.begin(nonce, 0);
        gmac.update(data, 0, 100);
        expect(gmac.verify(tag, 0)).toBe(false);
        flip(tag, bit);
      }
    });

    test('refuses other key sizes, places outside a region, and use after disposal', () => {
      expect(() => p.gmac(Buffer.alloc(16))).toThrow('GMAC key');
      const gmac = p.gmac(key32);
      expect(() => gmac.begin(nonce, 1)).toThrow('not inside');
      gmac.begin(nonce, 0);
      expect(() => gmac.update(nonce, 0, 13)).toThrow('not inside');
      expect(() => gmac.finish(nonce, 0)).toThrow('not inside');
      expect(() => gmac.verify(nonce, 0)).toThrow('not inside');
      gmac.dispose();
      expect(() => gmac.begin(nonce, 0)).toThrow('wiped');
    });

    test('a message must be begun', () => {
      const gmac = p.gmac(key32);
      expect(() => gmac.finish(new Region(16), 0)).toThrow('begun');
      expect(() => gmac.update(nonce, 0, 12)).toThrow('begun');
      gmac.begin(nonce, 0);
      gmac.finish(new Region(16), 0);
      expect(() => gmac.verify(new Region(16), 0)).toThrow('begun');
    });
  });

  describe('ChaCha20-Poly1305', () => {
    test.each(vectors<'key' | 'nonce' | 'aad' | 'plaintext' | 'ciphertext' | 'tag'>('chacha20-poly1305'))(
      '$source',
      (vector) => {
        const key = p.chacha20Poly1305(hex(vector.key));
        const [start, aad, plain] = [regionOf(vector.nonce), regionOf(vector.aad), regionOf(vector.plaintext)];
        const out = new Region(plain.length);
        const tag = new Region(16);
        for (const split of [0, 64, plain.length]) {
          key.beginSeal(start, 0);
          key.additional(aad, 0, 4);
          key.additional(aad, 4, aad.length - 4);
          key.crypt(plain, 0, out, 0, split);
          key.crypt(plain, split, out, split, plain.length - split);
          key.finish(tag, 0);
          expect(out.bytes.toString('hex')).toBe(vector.ciphertext);
          expect(tag.bytes.toString('hex')).toBe(vector.tag);
          expect(openInPlace(key, start, aad, out, tag)).toBe(true);
          expect(out.bytes.toString('hex')).toBe(vector.plaintext);
        }
      },
    );

    test('no other tag verifies', () => {
      const key = p.chacha20Poly1305(key32);
      const data = new Region(Buffer.alloc(100, 3));
      const tag = new Region(16);
      key.beginSeal(nonce, 0);
      key.crypt(data, 0, data, 0, 100);
      key.finish(tag, 0);
      const sealed = Buffer.from(data.bytes);
      for (let bit = 0; bit < 128; bit++) {
        data.bytes.set(sealed);
        flip(tag, bit);
        expect(openInPlace(key, nonce, new Region(0), data, tag)).toBe(false);
        flip(tag, bit);
      }
      data.bytes.set(sealed);
      expect(openInPlace(key, nonce, new Region(0), data, tag)).toBe(true);
    });

    test('a message must be begun', () => {
      const key = p.chacha20Poly1305(key32);
      expect(() => key.finish(new Region(16), 0)).toThrow('begun');
      expect(() => key.additional(nonce, 0, 12)).toThrow('begun');
      key.beginOpen(nonce, 0);
      key.verify(new Region(16), 0);
      expect(() => key.crypt(nonce, 0, nonce, 0, 12)).toThrow('begun');
    });

    test('refuses other key sizes, places outside a region, and use after disposal', () => {
      expect(() => p.chacha20Poly1305(Buffer.alloc(31))).toThrow('ChaCha20-Poly1305 key');
      const key = p.chacha20Poly1305(key32);
      const data = new Region(10);
      expect(() => key.beginSeal(data, 0)).toThrow('not inside');
      expect(() => key.beginOpen(data, 0)).toThrow('not inside');
      key.beginSeal(nonce, 0);
      expect(() => key.additional(data, 5, 6)).toThrow('not inside');
      expect(() => key.crypt(nonce, 0, data, 0, 11)).toThrow('not inside');
      expect(() => key.crypt(data, 0, nonce, 0, 11)).toThrow('not inside');
      expect(() => key.finish(data, 0)).toThrow('not inside');
      key.dispose();
      expect(() => key.beginOpen(nonce, 0)).toThrow('wiped');
    });
  });

  describe('AES-256-GCM', () => {
    test('opens what node:crypto seals, and the reverse', () => {
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 300 }), fc.uint8Array({ minLength: 1, maxLength: 40 }), (data, more) => {
          const cipher = createCipheriv('aes-256-gcm', key32, nonce.bytes).setAAD(more);
          const sealed = Buffer.concat([cipher.update(data), cipher.final()]);
          const key = p.aes256Gcm(key32);
          const [out, tag, aad] = [new Region(data.length), new Region(16), new Region(more)];
          key.beginSeal(nonce, 0);
          key.additional(aad, 0, aad.length);
          if (data.length > 0) key.crypt(new Region(data), 0, out, 0, data.length);
          key.finish(tag, 0);
          expect(out.bytes).toEqual(sealed);
          expect(tag.bytes).toEqual(cipher.getAuthTag());
          if (data.length === 0) return;
          expect(openInPlace(key, nonce, aad, out, tag)).toBe(true);
          expect(out.bytes).toEqual(Buffer.from(data));
          flip(tag, 5);
          expect(openInPlace(key, nonce, aad, out, tag)).toBe(false);
          key.dispose();
        }),
      );
    });

    test('refuses other key sizes', () => {
      expect(() => p.aes256Gcm(Buffer.alloc(16))).toThrow('AES-256-GCM key');
    });
  });

  describe('AES key wrap', () => {
    test.each(vectors<'kek' | 'key' | 'wrapped'>('aes-key-wrap'))('$source', ({ kek, key, wrapped }) => {
      const out = Buffer.alloc(hex(key).length);
      expect(p.aesKeyUnwrap(hex(kek), hex(wrapped), out)).toBe(true);
      expect(out.toString('hex')).toBe(key);
      const back = Buffer.alloc(hex(wrapped).length);
      p.aesKeyWrap(hex(kek), hex(key), back);
      expect(back.toString('hex')).toBe(wrapped);
    });

    test('no other bits unwrap, and nothing is left of what they gave', () => {
      const [{ kek, wrapped, key }] = vectors<'kek' | 'key' | 'wrapped'>('aes-key-wrap') as [Record<string, string>];
      const [bytes, out] = [regionOf(wrapped ?? ''), Buffer.alloc(hex(key ?? '').length, 1)];
      for (let bit = 0; bit < bytes.length * 8; bit++) {
        flip(bytes, bit);
        out.fill(1);
        expect(p.aesKeyUnwrap(hex(kek ?? ''), bytes.bytes, out)).toBe(false);
        expect(out).toEqual(Buffer.alloc(out.length));
        flip(bytes, bit);
      }
      expect(p.aesKeyUnwrap(hex(kek ?? ''), bytes.bytes, out)).toBe(true);
    });

    test('refuses other lengths', () => {
      const [key, wrapped] = [Buffer.alloc(16), Buffer.alloc(24)];
      expect(() => p.aesKeyUnwrap(Buffer.alloc(20), wrapped, Buffer.alloc(16))).toThrow('20 bytes');
      expect(() => p.aesKeyUnwrap(key, Buffer.alloc(16), Buffer.alloc(8))).toThrow('16 bytes');
      expect(() => p.aesKeyUnwrap(key, Buffer.alloc(25), Buffer.alloc(17))).toThrow('25 bytes');
      expect(() => p.aesKeyUnwrap(key, wrapped, Buffer.alloc(15))).toThrow('15 bytes');
      expect(() => p.aesKeyWrap(Buffer.alloc(20), key, wrapped)).toThrow('20 bytes');
      expect(() => p.aesKeyWrap(key, Buffer.alloc(8), Buffer.alloc(16))).toThrow('16 bytes');
      expect(() => p.aesKeyWrap(key, key, Buffer.alloc(25))).toThrow('25 bytes');
    });
  });

  describe('PBKDF2 with HMAC-SHA-512', () => {
    // As Python's hashlib and OpenSSL's command have them.
    test.each([
      [1, '867f70cf1ade02cff3752599a3a53dc4af34c7a669815ae5d513554e1c8cf252'],
      [2, 'e1d9c16aa681708a45f5c7c4e215ceb66e011a2e9f0040713f18aefdb866d53c'],
      [4096, 'd197b1b33db0143e018b12f3d1d1479e6cdebdcc97c5c0f87f6902e072f457b5'],
    ])('password and salt, %i times', async (iterations, derived) => {
      const out = Buffer.alloc(32);
      await p.pbkdf2Sha512(Buffer.from('password'), Buffer.from('salt'), iterations, out);
      expect(out.toString('hex')).toBe(derived);
    });

    test('reads and writes shared memory', async () => {
      const shared = (text: string) => {
        const bytes = new Uint8Array(new SharedArrayBuffer(text.length));
        bytes.set(Buffer.from(text));
        return bytes;
      };
      const [out, other] = [shared(' '.repeat(64)), Buffer.alloc(64)];
      await p.pbkdf2Sha512(shared('password'), shared('a\0b'), 3, out);
      await p.pbkdf2Sha512(Buffer.from('password'), Buffer.from('a\0b'), 3, other);
      expect(Buffer.from(out)).toEqual(other);
    });

    test.each([0, -1, 1.5, 2 ** 31])('refuses %d iterations', async (iterations) => {
      const none = Buffer.alloc(8);
      await expect((async () => p.pbkdf2Sha512(none, none, iterations, none))()).rejects.toThrow('iterations');
    });

    test.each([0, 65])('refuses to give %i bytes', async (length) => {
      const none = Buffer.alloc(8);
      await expect((async () => p.pbkdf2Sha512(none, none, 1, Buffer.alloc(length)))()).rejects.toThrow('bytes');
    });
  });

  describe('HKDF-SHA-256', () => {
    test.each(vectors<'key' | 'salt' | 'info' | 'output'>('hkdf-sha256'))('$source', (vector) => {
      const out = Buffer.alloc(vector.output.length / 2);
      p.hkdfSha256(hex(vector.key), hex(vector.salt), hex(vector.info), out);
      expect(out.toString('hex')).toBe(vector.output);
    });

    test('gives 8160 bytes and no more', () => {
      p.hkdfSha256(key32, key32, key32, Buffer.alloc(8160));
      expect(() => p.hkdfSha256(key32, key32, key32, Buffer.alloc(8161))).toThrow('8161');
    });
  });

  describe('HMAC-SHA-256', () => {
    test.each(vectors<'key' | 'data' | 'mac'>('hmac-sha256'))('$source', (vector) => {
      const out = Buffer.alloc(32);
      p.hmacSha256(hex(vector.key), hex(vector.data), out);
      expect(out.toString('hex').slice(0, vector.mac.length)).toBe(vector.mac);
    });

    test('of nothing under an empty key', () => {
      const out = Buffer.alloc(32);
      p.hmacSha256(Buffer.alloc(0), Buffer.alloc(0), out);
      expect(out.toString('hex')).toBe('b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad');
    });

    test('refuses another output size', () => {
      expect(() => p.hmacSha256(key32, key32, Buffer.alloc(31))).toThrow('HMAC output');
    });
  });

  describe('SHA-256', () => {
    test.each(vectors<'data' | 'digest'>('sha256'))('$source', (vector) => {
      const data = Buffer.concat([Buffer.from('..'), hex(vector.data), Buffer.from('..')]);
      const out = new Region(34);
      p.sha256(new Region(data), 2, data.length - 4, out, 1);
      expect(out.bytes.toString('hex')).toBe(`00${vector.digest}00`);
    });

    test('refuses what does not lie inside a region', () => {
      expect(() => p.sha256(nonce, 0, 13, new Region(32), 0)).toThrow('not inside');
      expect(() => p.sha256(nonce, 0, 12, new Region(32), 1)).toThrow('not inside');
    });
  });

  test('keys may be shared memory', () => {
    const shared = new Uint8Array(new SharedArrayBuffer(32));
    shared.set(key32);
    const results = [shared, key32].map((key) => digestOfEverything(p, key));
    expect(results[0]).toBe(results[1]);
  });
});

test('the two implementations agree on any input', () => {
  const [openssl, node] = [primitives('openssl'), primitives('node')];
  const bytes = (maxLength: number) => fc.uint8Array({ maxLength });
  const sized = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
  fc.assert(
    fc.property(sized(64), sized(16), bytes(300), bytes(100), (key, tweak, data, salt) => {
      fc.pre(!Buffer.from(key.subarray(0, 32)).equals(key.subarray(32)));
      fc.pre(!Buffer.from(key.subarray(0, 16)).equals(key.subarray(16, 32)));
      expect(everything(openssl, key, tweak, data, salt)).toEqual(everything(node, key, tweak, data, salt));
    }),
    { numRuns: 300 },
  );
});

function everything(p: Primitives, key: Uint8Array, tweak: Uint8Array, data: Uint8Array, salt: Uint8Array): string[] {
  const results: string[] = [];
  const unit = new Region(Math.max(16, data.length - (data.length % 16)));
  unit.bytes.set(data.subarray(0, unit.length));
  const out = new Region(unit.length);
  for (const length of [32, 64]) {
    const xts = p.xts(key.subarray(0, length));
    xts.encrypt(regionOf(tweak), 0, unit, 0, out, 0, unit.length);
    results.push(out.bytes.toString('hex'));
    xts.decrypt(regionOf(tweak), 0, unit, 0, out, 0, unit.length);
    results.push(out.bytes.toString('hex'));
    xts.dispose();
  }
  const tag = new Region(16);
  const gmac = p.gmac(key.subarray(0, 32));
  gmac.begin(regionOf(tweak), 0);
  gmac.update(regionOf(data), 0, data.length);
  gmac.finish(tag, 0);
  gmac.dispose();
  results.push(tag.bytes.toString('hex'));
  const aead = p.chacha20Poly1305(key.subarray(32));
  aead.beginSeal(regionOf(tweak), 2);
  aead.additional(regionOf(salt), 0, salt.length);
  aead.crypt(unit, 0, out, 0, unit.length);
  aead.finish(tag, 0);
  aead.dispose();
  results.push(out.bytes.toString('hex'), tag.bytes.toString('hex'));
  const derived = Buffer.alloc(1 + (data.length % 100));
  p.hkdfSha256(key, salt, data, derived);
  const mac = new Region(32);
  p.hmacSha256(salt, data, mac.bytes);
  results.push(derived.toString('hex'), mac.bytes.toString('hex'));
  p.sha256(regionOf(data), 0, data.length, mac, 0);
  results.push(mac.bytes.toString('hex'));
  return results;
}

function digestOfEverything(p: Primitives, key: Uint8Array): string {
  const out = new Region(32);
  const tag = new Region(16);
  const xts = p.xts(key);
  xts.encrypt(tag, 0, out, 0, out, 0, 32);
  const gmac = p.gmac(key);
  gmac.begin(nonce, 0);
  gmac.update(out, 0, 32);
  gmac.finish(tag, 0);
  const aead = p.chacha20Poly1305(key);
  aead.beginSeal(nonce, 0);
  aead.additional(tag, 0, 16);
  aead.crypt(out, 0, out, 0, 32);
  aead.finish(tag, 0);
  const derived = Buffer.alloc(32);
  p.hkdfSha256(key, key, out.bytes, derived);
  const mac = Buffer.alloc(32);
  p.hmacSha256(key, derived, mac);
  return Buffer.concat([out.bytes, tag.bytes, derived, mac]).toString('hex');
}

function openInPlace(key: AeadKey, start: Region, aad: Region, data: Region, tag: Region): boolean {
  key.beginOpen(start, 0);
  key.additional(aad, 0, aad.length);
  key.crypt(data, 0, data, 0, data.length);
  return key.verify(tag, 0);
}

function flip(region: Region, bit: number): void {
  region.bytes[bit >> 3] = (region.bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
}
