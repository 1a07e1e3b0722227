import { createCipheriv, createHmac, randomBytes } from 'node:crypto';
import { chacha20poly1305 } from '@noble/ciphers/chacha.js';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Region } from '../../../src/base/linux/native.ts';
import type { ChunkCipher } from '../../../src/crypto/chunk-cipher.ts';
import { createChunkCipher } from '../../../src/crypto/chunk-ciphers.ts';
import type { Primitives } from '../../../src/crypto/primitives.ts';
import { Secret } from '../../../src/crypto/secret.ts';
import { primitives } from '../../../src/crypto/select.ts';
import { type CipherName, cipherNames } from '../../../src/format/ciphers.ts';
import { Geometry, SECTOR_SIZE } from '../../../src/format/geometry.ts';

const implementations = ['openssl', 'node'] as const;
const chunkSizes = [4096, 8192, 16384, 32768, 65536];

const imageKey = Secret.random(32);
const imageId = randomBytes(16);
const objectId = randomBytes(16);

function make(name: Primitives['name'], cipher: CipherName, geometry: Geometry, object = objectId): ChunkCipher {
  return createChunkCipher(primitives(name), cipher, imageKey, imageId, object, geometry);
}

/** A chunk sealed with a random nonce. */
function sealed(cipher: ChunkCipher, geometry: Geometry, index: number, holes: number) {
  const plain = new Region(randomBytes(geometry.chunkSize));
  for (let s = 0; s < geometry.sectorsPerChunk; s++) {
    if ((holes >> s) & 1) plain.bytes.fill(0, s * SECTOR_SIZE, (s + 1) * SECTOR_SIZE);
  }
  const stored = new Region(randomBytes(geometry.chunkSize));
  const record = new Region(randomBytes(32));
  cipher.seal(index, holes, plain, 0, stored, 0, record, 0);
  return { plain, stored, record };
}

const anyChunk = fc.record({
  cipher: fc.constantFrom(...cipherNames),
  sealer: fc.constantFrom(...implementations),
  opener: fc.constantFrom(...implementations),
  geometry: fc.constantFrom(...chunkSizes).map((size) => new Geometry(size)),
  anyHoles: fc.integer({ min: 0, max: 0xffff }),
  index: fc.oneof(fc.integer({ min: 0, max: 2 ** 32 - 1 }), fc.constantFrom(0, 127, 128, 2 ** 31, 2 ** 32 - 1)),
});

describe('any chunk, by either implementation', () => {
  test('sealed by one, opened and read by the other, is what it was', () => {
    fc.assert(
      fc.property(anyChunk, fc.nat(), fc.nat(), ({ cipher, sealer, opener, geometry, anyHoles, index }, a, b) => {
        const holes = anyHoles & geometry.holeMask;
        const { plain, stored, record } = sealed(make(sealer, cipher, geometry), geometry, index, holes);
        const other = make(opener, cipher, geometry);
        expect(other.authenticate(index, stored, 0, record, 0)).toBe(true);
        const first = a % geometry.sectorsPerChunk;
        const count = (b % (geometry.sectorsPerChunk - first)) + 1;
        const to = new Region(Buffer.alloc(count * SECTOR_SIZE + 2, 0xee));
        other.decryptSectors(record, 0, stored, 0, first, count, to, 1);
        expect(
          to.bytes.subarray(1, -1).equals(plain.bytes.subarray(first * SECTOR_SIZE).subarray(0, to.length - 2)),
        ).toBe(true);
        expect([to.bytes[0], to.bytes.at(-1)]).toEqual([0xee, 0xee]);
      }),
      { numRuns: 400 },
    );
  });

  test('with any one bit of data, record or index flipped does not open, and is wiped', () => {
    fc.assert(
      fc.property(
        anyChunk,
        fc.nat(),
        fc.nat({ max: 2 }),
        ({ cipher, opener, geometry, anyHoles, index }, at, where) => {
          const holes = anyHoles & geometry.holeMask;
          const c = make(opener, cipher, geometry);
          const { stored, record } = sealed(c, geometry, index, holes);
          let indexRead = index;
          if (where === 0) {
            const data = [...Array(geometry.sectorsPerChunk).keys()].filter((s) => ((holes >> s) & 1) === 0);
            fc.pre(data.length > 0);
            const sector = data[at % data.length] ?? 0;
            flip(stored, sector * SECTOR_SIZE * 8 + (at % (SECTOR_SIZE * 8)));
          } else if (where === 1) {
            flip(record, at % 256);
          } else {
            indexRead = (index ^ (1 << (at % 32))) >>> 0;
          }
          expect(c.authenticate(indexRead, stored, 0, record, 0)).toBe(false);
          expect(stored.bytes.equals(Buffer.alloc(geometry.chunkSize))).toBe(true);
        },
      ),
      { numRuns: 600 },
    );
  });

  test('opens whatever its hole sectors hold, and gives zeros for them', () => {
    fc.assert(
      fc.property(anyChunk, ({ cipher, opener, geometry, anyHoles, index }) => {
        const holes = anyHoles & geometry.holeMask;
        const c = make(opener, cipher, geometry);
        const { plain, stored, record } = sealed(c, geometry, index, holes);
        for (let s = 0; s < geometry.sectorsPerChunk; s++) {
          if ((holes >> s) & 1) stored.bytes.fill(0x55, s * SECTOR_SIZE, (s + 1) * SECTOR_SIZE);
        }
        const to = new Region(Buffer.alloc(geometry.chunkSize, 0xee));
        expect(c.authenticate(index, stored, 0, record, 0)).toBe(true);
        c.decryptSectors(record, 0, stored, 0, 0, geometry.sectorsPerChunk, to, 0);
        expect(to.bytes.equals(plain.bytes)).toBe(true);
      }),
      { numRuns: 100 },
    );
  });
});

describe.each(implementations)('%s', (name) => {
  const geometry = new Geometry(16384);

  describe.each(cipherNames)('%s', (cipher) => {
    test('every bit of the record counts', () => {
      const c = make(name, cipher, geometry);
      const { stored, record } = sealed(c, geometry, 3, 0b0100);
      const before = Buffer.from(stored.bytes);
      for (let bit = 0; bit < 256; bit++) {
        flip(record, bit);
        stored.bytes.set(before);
        expect(c.authenticate(3, stored, 0, record, 0)).toBe(false);
        flip(record, bit);
      }
      stored.bytes.set(before);
      expect(c.authenticate(3, stored, 0, record, 0)).toBe(true);
    });

    test('belongs to its object, image and key', () => {
      const c = make(name, cipher, geometry);
      const { stored, record } = sealed(c, geometry, 3, 0);
      const before = Buffer.from(stored.bytes);
      const p = primitives(name);
      const others = [
        make(name, cipher, geometry, randomBytes(16)),
        createChunkCipher(p, cipher, imageKey, randomBytes(16), objectId, geometry),
        createChunkCipher(p, cipher, Secret.random(32), imageId, objectId, geometry),
      ];
      for (const other of others) {
        stored.bytes.set(before);
        expect(other.authenticate(3, stored, 0, record, 0)).toBe(false);
      }
    });

    test('belongs to its cipher', () => {
      const { stored, record } = sealed(make(name, cipher, geometry), geometry, 3, 0);
      const before = Buffer.from(stored.bytes);
      for (const other of cipherNames.filter((otherName) => otherName !== cipher)) {
        stored.bytes.set(before);
        expect(make(name, other, geometry).authenticate(3, stored, 0, record, 0)).toBe(false);
      }
    });

    test('seals in place, at offsets, zeroing holes and touching nothing else', () => {
      const c = make(name, cipher, geometry);
      const memory = new Region(Buffer.alloc(geometry.chunkSize + 64, 0xee));
      const records = new Region(randomBytes(96));
      const margins = Buffer.from(records.bytes);
      c.seal(9, 0b1001, memory, 32, memory, 32, records, 32);
      expect(memory.bytes.subarray(0, 32)).toEqual(Buffer.alloc(32, 0xee));
      expect(memory.bytes.subarray(-32)).toEqual(Buffer.alloc(32, 0xee));
      expect(memory.bytes.subarray(32, 32 + SECTOR_SIZE).equals(Buffer.alloc(SECTOR_SIZE))).toBe(true);
      expect(records.bytes.subarray(0, 44)).toEqual(margins.subarray(0, 44));
      expect(records.bytes.subarray(60, 64)).toEqual(Buffer.from([0b1001, 0, 0, 0]));
      expect(records.bytes.subarray(64)).toEqual(margins.subarray(64));
      expect(c.authenticate(9, memory, 32, records, 32)).toBe(true);
      const to = new Region(SECTOR_SIZE);
      c.decryptSectors(records, 32, memory, 32, 1, 1, to, 0);
      expect(to.bytes.equals(Buffer.alloc(SECTOR_SIZE, 0xee))).toBe(true);
    });

    test('a chunk of holes alone has a valid tag', () => {
      const c = make(name, cipher, geometry);
      const { stored, record } = sealed(c, geometry, 0, 0b1111);
      expect(c.authenticate(0, stored, 0, record, 0)).toBe(true);
      expect(c.authenticate(1, stored, 0, record, 0)).toBe(false);
    });

    test('refuses holes past the chunk, sectors past the chunk, memory past a region, use after disposal', () => {
      const c = make(name, cipher, geometry);
      const { plain, stored, record } = sealed(c, geometry, 0, 0);
      const [short, to] = [new Region(geometry.chunkSize - 1), new Region(geometry.chunkSize)];
      expect(() => c.seal(0, 0b10000, plain, 0, stored, 0, record, 0)).toThrow('hole map');
      expect(() => c.seal(0, 0, short, 0, stored, 0, record, 0)).toThrow('not inside');
      expect(() => c.seal(0, 0, plain, 0, short, 0, record, 0)).toThrow('not inside');
      expect(() => c.seal(0, 0, plain, 0, stored, 0, record, 1)).toThrow('not inside');
      expect(() => c.authenticate(0, short, 0, record, 0)).toThrow('not inside');
      expect(() => c.authenticate(0, stored, 0, record, 1)).toThrow('not inside');
      expect(() => c.decryptSectors(record, 0, stored, 0, 3, 2, to, 0)).toThrow('past the end');
      expect(() => c.decryptSectors(record, 0, stored, 0, -1, 1, to, 0)).toThrow('past the end');
      expect(() => c.decryptSectors(record, 0, short, 0, 0, 1, to, 0)).toThrow('not inside');
      expect(() => c.decryptSectors(record, 0, stored, 0, 0, 4, short, 0)).toThrow('not inside');
      c.dispose();
      expect(() => c.authenticate(0, stored, 0, record, 0)).toThrow('wiped');
    });
  });

  test.each(cipherNames)('%s gives the bytes that format.md §3, §6 and §7 say', (cipher) => {
    const holes = 0b0010;
    const index = 0x01020304;
    const { plain, stored, record } = sealed(make(name, cipher, geometry), geometry, index, holes);
    const nonce = record.bytes.subarray(0, 12);
    const additional = Buffer.concat([
      objectId,
      Buffer.from('0403020100000000', 'hex'),
      Buffer.from('02000000', 'hex'),
    ]);
    const dataSectors = [0, 2, 3].map((s) => plain.bytes.subarray(s * SECTOR_SIZE, (s + 1) * SECTOR_SIZE));
    const expected = byTheBook(cipher, nonce, additional, [0, 2, 3], dataSectors);
    const storedData = Buffer.concat([stored.bytes.subarray(0, 4096), stored.bytes.subarray(8192)]);
    expect(storedData.equals(expected.sectors)).toBe(true);
    expect(record.bytes.subarray(12, 28)).toEqual(expected.tag);
    expect(record.bytes.subarray(28)).toEqual(Buffer.from('02000000', 'hex'));
  });
});

/** The format document once more, as directly as node:crypto and noble-ciphers allow. */
function byTheBook(cipher: CipherName, nonce: Buffer, additional: Buffer, numbers: number[], sectors: Buffer[]) {
  if (cipher === 'chacha20-poly1305') {
    const sealedWhole = chacha20poly1305(derived('ckptfs 1 object chacha20-poly1305', 1), nonce, additional).encrypt(
      Buffer.concat(sectors),
    );
    return { sectors: Buffer.from(sealedWhole.subarray(0, -16)), tag: Buffer.from(sealedWhole.subarray(-16)) };
  }
  const gmac = createCipheriv('aes-256-gcm', derived(`ckptfs 1 object mac ${cipher}`, 1), nonce);
  const stored = sectors.map((sector, i) => {
    if (cipher === 'none') return sector;
    const number = Buffer.alloc(4);
    number.writeUInt32LE(numbers[i] ?? 0);
    const key = derived(`ckptfs 1 object ${cipher}`, cipher === 'aes-256-xts' ? 2 : 1);
    return createCipheriv(cipher, key, Buffer.concat([nonce, number])).update(sector);
  });
  gmac.setAAD(Buffer.concat([additional, ...stored]));
  gmac.final();
  return { sectors: Buffer.concat(stored), tag: gmac.getAuthTag() };
}

/** HKDF-SHA-256 of one or two blocks, written out (RFC 5869). */
function derived(info: string, blocks: 1 | 2): Buffer {
  const hmac = (key: Uint8Array, ...parts: Uint8Array[]) =>
    createHmac('sha256', key).update(Buffer.concat(parts)).digest();
  const extracted = hmac(Buffer.concat([imageId, objectId]), imageKey.bytes);
  const first = hmac(extracted, Buffer.from(info), Buffer.of(1));
  if (blocks === 1) return first;
  return Buffer.concat([first, hmac(extracted, first, Buffer.from(info), Buffer.of(2))]);
}

function flip(region: Region, bit: number): void {
  region.bytes[bit >> 3] = (region.bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
}
