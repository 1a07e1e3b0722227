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
import { clearSectorBits, tagOffset } from '../../../src/format/record.ts';
import { ciphersOf, suiteNames } from '../../../src/format/suites.ts';

const implementations = ['openssl', 'node'] as const;
const chunkSizes = [4096, 8192, 16384, 32768, 65536];

const imageKey = Secret.random(32);
const imageId = randomBytes(16);
const objectId = randomBytes(16);

function make(name: Primitives['name'], cipher: CipherName, geometry: Geometry, object = objectId): ChunkCipher {
  return createChunkCipher(primitives(name), cipher, imageKey, imageId, object, geometry);
}

function nonceIn(record: Region, geometry: Geometry, offset = 0): void {
  record.bytes.set(randomBytes(12), offset);
  clearSectorBits(record.view, offset, geometry);
}

/** Opens a whole chunk into memory of its own. */
function opens(c: ChunkCipher, geometry: Geometry, index: number, stored: Region, record: Region): boolean {
  const to = new Region(Buffer.alloc(geometry.chunkSize, 0xee));
  const isOpened = c.open(index, 0, geometry.sectorsPerChunk, stored, 0, record, 0, to, 0);
  if (!isOpened) expect(to.bytes.equals(Buffer.alloc(geometry.chunkSize))).toBe(true);
  expect(c.verify(index, new Region(Buffer.from(stored.bytes)), 0, record, 0) === 0).toBe(isOpened);
  return isOpened;
}

/** A chunk sealed with a random nonce. */
function sealed(cipher: ChunkCipher, geometry: Geometry, index: number, holes: number) {
  const plain = new Region(randomBytes(geometry.chunkSize));
  for (let s = 0; s < geometry.sectorsPerChunk; s++) {
    if ((holes >> s) & 1) plain.bytes.fill(0, s * SECTOR_SIZE, (s + 1) * SECTOR_SIZE);
  }
  const stored = new Region(randomBytes(geometry.chunkSize));
  const record = new Region(randomBytes(geometry.recordSize));
  nonceIn(record, geometry);
  cipher.seal(index, holes, 0, plain, 0, stored, 0, record, 0);
  return { plain, stored, record };
}

const suitesAndCiphers = suiteNames.flatMap((suite) => ciphersOf(suite).map((cipher) => [suite, cipher] as const));

const anyChunk = fc
  .record({
    suiteAndCipher: fc.constantFrom(...suitesAndCiphers),
    chunkSize: fc.constantFrom(...chunkSizes),
    sealer: fc.constantFrom(...implementations),
    opener: fc.constantFrom(...implementations),
    anyHoles: fc.integer({ min: 0, max: 0xffff }),
    index: fc.oneof(fc.integer({ min: 0, max: 2 ** 32 - 1 }), fc.constantFrom(0, 63, 64, 2 ** 31, 2 ** 32 - 1)),
  })
  .map(({ suiteAndCipher: [suite, cipher], chunkSize, ...rest }) => ({
    ...rest,
    cipher,
    geometry: new Geometry(chunkSize, suite),
  }));

test('a cipher whose nonce cannot be longer is refused with the geometry of suite fips', () => {
  for (const name of implementations) {
    expect(() => make(name, 'chacha20-poly1305', new Geometry(4096, 'fips'))).toThrow('nonces of 16 bytes');
  }
});

describe('any chunk, by either implementation', () => {
  test('sealed by one, opened and read by the other, is what it was', () => {
    fc.assert(
      fc.property(anyChunk, fc.nat(), fc.nat(), ({ cipher, sealer, opener, geometry, anyHoles, index }, a, b) => {
        const holes = anyHoles & geometry.holeMask;
        const { plain, stored, record } = sealed(make(sealer, cipher, geometry), geometry, index, holes);
        const other = make(opener, cipher, geometry);
        const first = a % geometry.sectorsPerChunk;
        const count = (b % (geometry.sectorsPerChunk - first)) + 1;
        const to = new Region(Buffer.alloc(count * SECTOR_SIZE + 2, 0xee));
        expect(other.open(index, first, count, stored, first * SECTOR_SIZE, record, 0, to, 1)).toBe(true);
        expect(opens(other, geometry, index, stored, record)).toBe(true);
        expect(
          to.bytes.subarray(1, -1).equals(plain.bytes.subarray(first * SECTOR_SIZE).subarray(0, to.length - 2)),
        ).toBe(true);
        expect([to.bytes[0], to.bytes.at(-1)]).toEqual([0xee, 0xee]);
      }),
      { numRuns: 400 },
    );
  });

  test('with any one bit of record or index flipped does not open, and nothing of it is given out', () => {
    fc.assert(
      fc.property(anyChunk, fc.nat(), fc.boolean(), ({ cipher, opener, geometry, anyHoles, index }, at, inRecord) => {
        const c = make(opener, cipher, geometry);
        const { stored, record } = sealed(c, geometry, index, anyHoles & geometry.holeMask);
        if (inRecord) flip(record, at % (8 * geometry.recordSize));
        const indexRead = inRecord ? index : (index ^ (1 << (at % 32))) >>> 0;
        expect(opens(c, geometry, indexRead, stored, record)).toBe(false);
      }),
      { numRuns: 600 },
    );
  });

  test('with any one bit of data flipped does not open that sector, and opens the others', () => {
    fc.assert(
      fc.property(anyChunk, fc.nat(), ({ cipher, opener, geometry, anyHoles, index }, at) => {
        const holes = anyHoles & geometry.holeMask;
        const data = [...Array(geometry.sectorsPerChunk).keys()].filter((s) => ((holes >> s) & 1) === 0);
        fc.pre(data.length > 0);
        const c = make(opener, cipher, geometry);
        const { plain, stored, record } = sealed(c, geometry, index, holes);
        const bad = data[at % data.length] ?? 0;
        flip(stored, bad * SECTOR_SIZE * 8 + (at % (SECTOR_SIZE * 8)));
        expect(opens(c, geometry, index, stored, record)).toBe(false);
        for (let sector = 0; sector < geometry.sectorsPerChunk; sector++) {
          const to = new Region(Buffer.alloc(SECTOR_SIZE, 0xee));
          const from = sector * SECTOR_SIZE;
          expect(c.open(index, sector, 1, stored, from, record, 0, to, 0)).toBe(sector !== bad);
          const expected = sector === bad ? Buffer.alloc(SECTOR_SIZE) : plain.bytes.subarray(from, from + SECTOR_SIZE);
          expect(to.bytes.equals(expected)).toBe(true);
        }
        expect(c.verify(index, stored, 0, record, 0)).toBe(1 << bad);
      }),
      { numRuns: 200 },
    );
  });

  test('with sectors, tags or both put elsewhere in the chunk does not open', () => {
    fc.assert(
      fc.property(anyChunk, fc.nat(), fc.nat(), fc.nat(2), ({ cipher, opener, geometry, index }, a, b, what) => {
        const one = a % geometry.sectorsPerChunk;
        const two = b % geometry.sectorsPerChunk;
        fc.pre(one !== two);
        const c = make(opener, cipher, geometry);
        const { stored, record } = sealed(c, geometry, index, 0);
        if (what !== 0) swap(stored, one * SECTOR_SIZE, two * SECTOR_SIZE, SECTOR_SIZE);
        if (what !== 1) swap(record, tagOffset(one), tagOffset(two), 12);
        for (const sector of [one, two]) {
          const to = new Region(SECTOR_SIZE);
          expect(c.open(index, sector, 1, stored, sector * SECTOR_SIZE, record, 0, to, 0)).toBe(false);
        }
      }),
      { numRuns: 100 },
    );
  });

  test('with another map of holes does not open any sector', () => {
    fc.assert(
      fc.property(anyChunk, fc.nat(), ({ cipher, opener, geometry, anyHoles, index }, at) => {
        const holes = anyHoles & geometry.holeMask;
        const c = make(opener, cipher, geometry);
        const { stored, record } = sealed(c, geometry, index, holes);
        record.view.setUint16(12, holes ^ (1 << (at % geometry.sectorsPerChunk)), true);
        for (let sector = 0; sector < geometry.sectorsPerChunk; sector++) {
          const to = new Region(Buffer.alloc(SECTOR_SIZE, 0xee));
          expect(c.open(index, sector, 1, stored, sector * SECTOR_SIZE, record, 0, to, 0)).toBe(false);
          expect(to.bytes.equals(Buffer.alloc(SECTOR_SIZE))).toBe(true);
        }
      }),
      { numRuns: 100 },
    );
  });

  test('takes no sector of another chunk under the same nonce', () => {
    fc.assert(
      fc.property(anyChunk, ({ cipher, opener, geometry, index }) => {
        const c = make(opener, cipher, geometry);
        const { plain, stored, record } = sealed(c, geometry, index, 0);
        const other = { stored: new Region(geometry.chunkSize), record: new Region(Buffer.from(record.bytes)) };
        c.seal((index + 1) % 2 ** 32, 0, 0, plain, 0, other.stored, 0, other.record, 0);
        other.stored.bytes.copy(stored.bytes, 0, 0, SECTOR_SIZE);
        other.record.bytes.copy(record.bytes, tagOffset(0), tagOffset(0), tagOffset(1));
        expect(opens(c, geometry, index, stored, record)).toBe(false);
      }),
      { numRuns: 50 },
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
        expect(c.open(index, 0, geometry.sectorsPerChunk, stored, 0, record, 0, to, 0)).toBe(true);
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
      for (let bit = 0; bit < 8 * geometry.recordSize; bit++) {
        flip(record, bit);
        expect(opens(c, geometry, 3, stored, record)).toBe(false);
        flip(record, bit);
      }
      expect(opens(c, geometry, 3, stored, record)).toBe(true);
    });

    test('belongs to its object, image and key', () => {
      const c = make(name, cipher, geometry);
      const { stored, record } = sealed(c, geometry, 3, 0);
      const p = primitives(name);
      const others = [
        make(name, cipher, geometry, randomBytes(16)),
        createChunkCipher(p, cipher, imageKey, randomBytes(16), objectId, geometry),
        createChunkCipher(p, cipher, Secret.random(32), imageId, objectId, geometry),
      ];
      for (const other of others) expect(opens(other, geometry, 3, stored, record)).toBe(false);
    });

    test('belongs to its cipher', () => {
      const { stored, record } = sealed(make(name, cipher, geometry), geometry, 3, 0);
      for (const other of cipherNames.filter((otherName) => otherName !== cipher)) {
        expect(opens(make(name, other, geometry), geometry, 3, stored, record)).toBe(false);
      }
    });

    test('seals in place, at offsets, zeroing holes and touching nothing else', () => {
      const c = make(name, cipher, geometry);
      const memory = new Region(Buffer.alloc(geometry.chunkSize + 64, 0xee));
      const records = new Region(randomBytes(128));
      nonceIn(records, geometry, 32);
      const margins = Buffer.from(records.bytes);
      c.seal(9, 0b1001, 0, memory, 32, memory, 32, records, 32);
      expect(memory.bytes.subarray(0, 32)).toEqual(Buffer.alloc(32, 0xee));
      expect(memory.bytes.subarray(-32)).toEqual(Buffer.alloc(32, 0xee));
      expect(memory.bytes.subarray(32, 32 + SECTOR_SIZE).equals(Buffer.alloc(SECTOR_SIZE))).toBe(true);
      expect(records.bytes.subarray(0, 44)).toEqual(margins.subarray(0, 44));
      expect(records.bytes.subarray(44, 48)).toEqual(Buffer.from([0b1001, 0, 0, 0]));
      expect(records.bytes.subarray(96)).toEqual(margins.subarray(96));
      const to = new Region(SECTOR_SIZE);
      expect(c.open(9, 1, 1, memory, 32 + SECTOR_SIZE, records, 32, to, 0)).toBe(true);
      expect(to.bytes.equals(Buffer.alloc(SECTOR_SIZE, 0xee))).toBe(true);
      expect(c.open(9, 0, 4, memory, 32, records, 32, memory, 32)).toBe(true);
      expect(memory.bytes.subarray(32 + SECTOR_SIZE, 32 + 3 * SECTOR_SIZE)).toEqual(Buffer.alloc(8192, 0xee));
    });

    test('a chunk of holes alone has valid tags', () => {
      const c = make(name, cipher, geometry);
      const { stored, record } = sealed(c, geometry, 0, 0b1111);
      expect(opens(c, geometry, 0, stored, record)).toBe(true);
      expect(opens(c, geometry, 1, stored, record)).toBe(false);
    });

    test('refuses holes past the chunk, sectors past the chunk, memory past a region, use after disposal', () => {
      const c = make(name, cipher, geometry);
      const { plain, stored, record } = sealed(c, geometry, 0, 0);
      const [short, to] = [new Region(geometry.chunkSize - 1), new Region(geometry.chunkSize)];
      expect(() => c.seal(0, 0b10000, 0, plain, 0, stored, 0, record, 0)).toThrow('hole map');
      expect(() => c.seal(0, 0, 0, short, 0, stored, 0, record, 0)).toThrow('not inside');
      expect(() => c.seal(0, 0, 0, plain, 0, short, 0, record, 0)).toThrow('not inside');
      expect(() => c.seal(0, 0, 0, plain, 0, stored, 0, record, 1)).toThrow('not inside');
      expect(() => c.verify(0, short, 0, record, 0)).toThrow('not inside');
      expect(() => c.verify(0, stored, 0, record, 1)).toThrow('not inside');
      expect(() => c.open(0, 3, 2, stored, 0, record, 0, to, 0)).toThrow('past the end');
      expect(() => c.open(0, -1, 1, stored, 0, record, 0, to, 0)).toThrow('past the end');
      expect(() => c.open(0, 0, 4, short, 0, record, 0, to, 0)).toThrow('not inside');
      expect(() => c.open(0, 0, 4, stored, 0, record, 0, short, 0)).toThrow('not inside');
      expect(() => c.open(0, 0, 4, stored, 0, record, 1, to, 0)).toThrow('not inside');
      c.dispose();
      expect(() => c.open(0, 0, 4, stored, 0, record, 0, to, 0)).toThrow('wiped');
      expect(() => c.verify(0, stored, 0, record, 0)).toThrow('wiped');
    });
  });

  test.each(cipherNames)('%s gives the bytes that format.md §3, §6 and §7 say', (cipher) => {
    const holes = 0b0010;
    const index = 0x01020304;
    const { plain, stored, record } = sealed(make(name, cipher, geometry), geometry, index, holes);
    const nonce = record.bytes.subarray(0, 12);
    expect(record.bytes.subarray(12, 16)).toEqual(Buffer.from('02000000', 'hex'));
    for (let sector = 0; sector < 4; sector++) {
      const at = sector * SECTOR_SIZE;
      const additional = Buffer.concat([
        objectId,
        Buffer.from('0403020100000000', 'hex'),
        Buffer.of(sector, 0, 0, 0),
        Buffer.from('02000000', 'hex'),
      ]);
      const clear = sector === 1 ? Buffer.alloc(0) : plain.bytes.subarray(at, at + SECTOR_SIZE);
      const expected = byTheBook(cipher, nonce, sector, additional, clear);
      expect(stored.bytes.subarray(at, at + clear.length).equals(expected.text)).toBe(true);
      expect(record.bytes.subarray(16 + 12 * sector, 28 + 12 * sector)).toEqual(expected.tag.subarray(0, 12));
    }
  });
});

/** The format document once more, as directly as node:crypto and noble-ciphers allow. */
function byTheBook(cipher: CipherName, nonce: Buffer, sector: number, additional: Buffer, clear: Buffer) {
  const own = Buffer.concat([nonce.subarray(0, 11), Buffer.of(nonce.readUInt8(11) + sector)]);
  const key = derived(`ckptfs 1 object ${cipher}`, cipher === 'aes-256-xts' ? 2 : 1);
  if (cipher === 'chacha20-poly1305') {
    const message = Buffer.from(chacha20poly1305(key, own, additional).encrypt(Uint8Array.from(clear)));
    return { text: message.subarray(0, -16), tag: message.subarray(-16) };
  }
  if (cipher === 'aes-256-gcm') return gcm(key, own, additional, clear);
  const tweak = Buffer.concat([nonce, Buffer.of(sector, 0, 0, 0)]);
  const text = cipher === 'none' || clear.length === 0 ? clear : createCipheriv(cipher, key, tweak).update(clear);
  const macKey = derived(`ckptfs 1 object mac ${cipher}`, 1);
  return { text, tag: gcm(macKey, own, Buffer.concat([additional, text]), Buffer.alloc(0)).tag };
}

function gcm(key: Buffer, nonce: Buffer, additional: Buffer, clear: Buffer): { text: Buffer; tag: Buffer } {
  const message = createCipheriv('aes-256-gcm', key, nonce);
  message.setAAD(additional);
  const text = message.update(clear);
  message.final();
  return { text, tag: message.getAuthTag() };
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

function swap(region: Region, one: number, two: number, length: number): void {
  const first = Buffer.from(region.bytes.subarray(one, one + length));
  region.bytes.copy(region.bytes, one, two, two + length);
  region.bytes.set(first, two);
}
