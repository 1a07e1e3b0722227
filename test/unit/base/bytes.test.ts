import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ByteReader, ByteWriter, MalformedError } from '../../../src/base/bytes.ts';

describe('ByteReader and ByteWriter', () => {
  test('what is written is read back, and nothing is left', () => {
    fc.assert(
      fc.property(
        fc.nat(255),
        fc.nat(65535),
        fc.nat(0xffff_ffff),
        fc.maxSafeNat(),
        fc.maxSafeInteger(),
        fc.uint8Array({ maxLength: 9000 }),
        (a, b, c, d, e, bytes) => {
          const out = new ByteWriter();
          out.u8(a);
          out.u16(b);
          out.u32(c);
          out.u64(d);
          out.i64(e);
          out.bytes(bytes);
          out.zeros(3);
          const reader = new ByteReader(out.finish());
          expect([reader.u8(), reader.u16(), reader.u32(), reader.u64(), reader.i64()]).toEqual([a, b, c, d, e]);
          expect(reader.take(bytes.length)).toEqual(Buffer.from(bytes));
          expect([...reader.take(3)]).toEqual([0, 0, 0]);
          expect(reader.remaining).toBe(0);
        },
      ),
    );
  });

  test('grows at every width, also in the middle of a value', () => {
    for (let before = 4080; before <= 4100; before++) {
      const out = new ByteWriter();
      out.bytes(Buffer.alloc(before, 1));
      out.u64(2);
      out.u32(3);
      out.u16(4);
      out.u8(5);
      out.bytes(Buffer.alloc(20_000, 6));
      const reader = new ByteReader(out.finish());
      expect(reader.take(before)).toEqual(Buffer.alloc(before, 1));
      expect([reader.u64(), reader.u32(), reader.u16(), reader.u8()]).toEqual([2, 3, 4, 5]);
      expect(reader.take(20_000)).toEqual(Buffer.alloc(20_000, 6));
    }
  });

  test('a number of 2^53 or more is refused, not rounded', () => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(2n ** 53n);
    expect(() => new ByteReader(bytes).u64()).toThrow(MalformedError);
    expect(() => new ByteReader(bytes).i64()).toThrow(MalformedError);
    bytes.writeBigUInt64LE(2n ** 53n - 1n);
    expect(new ByteReader(bytes).u64()).toBe(Number.MAX_SAFE_INTEGER);
    expect(() => new ByteWriter().u64(2 ** 53)).toThrow(RangeError);
    expect(() => new ByteWriter().u64(-1)).toThrow(RangeError);
  });

  test('reading past the end is refused, whatever the length', () => {
    const reader = new ByteReader(Buffer.alloc(3));
    expect(() => reader.u32()).toThrow(MalformedError);
    expect(() => reader.take(4)).toThrow(MalformedError);
    expect(reader.take(3).length).toBe(3);
    expect(() => reader.u8()).toThrow(MalformedError);
  });

  test('a count that cannot fit is refused before anything is allocated', () => {
    const bytes = Buffer.alloc(8);
    bytes.writeUInt32LE(2);
    expect(() => new ByteReader(bytes).count32(3)).toThrow(MalformedError);
    expect(new ByteReader(bytes).count32(2)).toBe(2);
  });
});
