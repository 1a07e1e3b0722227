import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodePax, encodePax, paxTime, paxTimeText } from '../../../src/archive/pax-records.ts';

const key = fc
  .uint8Array({ minLength: 1, maxLength: 120 })
  .map((bytes) => Buffer.from(bytes.map((byte) => (byte === 0x3d ? 0x78 : byte))).toString('latin1'));
const value = fc.uint8Array({ maxLength: 1200 }).map((bytes) => Buffer.from(bytes));

test('records are read as they were written', () => {
  fc.assert(
    fc.property(fc.array(fc.record({ key, value }), { maxLength: 5 }), (records) => {
      expect(decodePax(encodePax(records))).toEqual(records);
    }),
  );
});

test('times are read as they were written', () => {
  const nanoseconds = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 999_999_999 }));
  fc.assert(
    fc.property(fc.record({ seconds: fc.maxSafeInteger(), nanoseconds }), (time) => {
      expect(paxTime(Buffer.from(paxTimeText(time)), 'mtime')).toEqual(time);
    }),
  );
});

test.each([
  [{ seconds: -1, nanoseconds: 750_000_000 }, '-0.25'],
  [{ seconds: -1, nanoseconds: 0 }, '-1'],
  [{ seconds: 0, nanoseconds: 1 }, '0.000000001'],
  [{ seconds: 12, nanoseconds: 500_000_000 }, '12.5'],
])('%j is %s', (time, text) => {
  expect(paxTimeText(time)).toBe(text);
});
