import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MalformedError } from '../../../../src/base/bytes.ts';
import { decodeTtlv, encodeTtlv, type Ttlv } from '../../../../src/keys/kmip/ttlv.ts';

function vectors<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`../../../vectors/kmip/${name}`, import.meta.url), 'utf8'));
}

interface Example {
  readonly name: string;
  readonly type: string;
  readonly value?: string | number | boolean;
  readonly hex: string;
}

/** Returns the value of an item as the examples of the standard have it. */
function shown({ type, value }: Ttlv): unknown {
  if (type === 'structure') return undefined;
  if (typeof value === 'bigint') return String(value);
  return value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value;
}

describe('the examples of the standard', () => {
  test.each(vectors<{ examples: Example[] }>('encoding.json').examples)('$name', ({ type, value, hex }) => {
    const item = decodeTtlv(Buffer.from(hex, 'hex'));
    expect(item).toMatchObject({ tag: 0x420020, type });
    expect(shown(item)).toBe(value);
    expect(encodeTtlv(item).toString('hex')).toBe(hex);
  });

  test('have a structure of an enumeration and an integer', () => {
    const examples = vectors<{ examples: Example[] }>('encoding.json').examples;
    const hex = examples.find(({ type }) => type === 'structure')?.hex ?? '';
    expect(decodeTtlv(Buffer.from(hex, 'hex')).value).toEqual([
      { tag: 0x420004, type: 'enumeration', value: 254 },
      { tag: 0x420005, type: 'integer', value: 255 },
    ]);
  });
});

const messages = vectors<{ messages: { name: string; request: string; response: string }[] }>('pykmip-1.4.json');

test.each(messages.messages)('a recorded $name is decoded, and encoded to the same bytes', ({ request, response }) => {
  for (const hex of [request, response]) {
    expect(encodeTtlv(decodeTtlv(Buffer.from(hex, 'hex'))).toString('hex')).toBe(hex);
  }
});

const tag = fc.integer({ min: 0, max: 0xffffff });
const number64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const number32 = fc.integer({ min: 0, max: 0xffffffff });
const octets = fc.uint8Array({ maxLength: 40 });
const { item } = fc.letrec<{ item: Ttlv }>((tie) => ({
  item: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.record({ tag, type: fc.constant('integer' as const), value: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }) }),
    fc.record({ tag, type: fc.constantFrom('enumeration' as const, 'interval' as const), value: number32 }),
    fc.record({ tag, type: fc.constantFrom('long' as const, 'time' as const, 'fine-time' as const), value: number64 }),
    fc.record({ tag, type: fc.constant('boolean' as const), value: fc.boolean() }),
    fc.record({ tag, type: fc.constant('text' as const), value: fc.string({ unit: 'grapheme' }) }),
    fc.record({ tag, type: fc.constant('bytes' as const), value: octets }),
    fc.record({
      tag,
      type: fc.constant('big-integer' as const),
      value: octets.map((bytes) => bytes.subarray(bytes.length % 8)),
    }),
    fc.record({ tag, type: fc.constant('structure' as const), value: fc.array(tie('item'), { maxLength: 4 }) }),
  ) as fc.Arbitrary<Ttlv>,
}));

/** Makes plain arrays of bytes, which may be of several classes. */
function plain(given: Ttlv): unknown {
  if (given.type === 'structure') return { ...given, value: given.value.map(plain) };
  return given.value instanceof Uint8Array ? { ...given, value: [...given.value] } : given;
}

test('what is encoded is decoded again', () => {
  fc.assert(
    fc.property(item, (given) => {
      expect(plain(decodeTtlv(encodeTtlv(given)))).toEqual(plain(given));
    }),
  );
});

test('bytes are refused, or are the encoding of what they are decoded to', () => {
  const inner = fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes));
  const framed = fc.tuple(fc.integer({ min: 0, max: 12 }), inner).map(([type, bytes]) => {
    const header = Buffer.from([0x42, 0, 0x20, type, 0, 0, 0, bytes.length]);
    return Buffer.concat([header, bytes, Buffer.alloc((8 - (bytes.length % 8)) % 8)]);
  });
  fc.assert(
    fc.property(fc.oneof(inner, framed), (bytes) => {
      try {
        expect(encodeTtlv(decodeTtlv(bytes)).equals(bytes)).toBe(true);
      } catch (error) {
        if (!(error instanceof MalformedError)) throw error;
      }
    }),
  );
});

/** Returns `depth` structures in each other. */
function nested(depth: number): Ttlv {
  return { tag: 1, type: 'structure', value: depth === 1 ? [] : [nested(depth - 1)] };
}

describe('a message is refused', () => {
  test.each([
    ['without anything', '', 'an item is cut'],
    ['that is cut', '420020020000000400000008', 'an item of 4 bytes where 4 follow'],
    ['that goes on', '420020020000000400000008000000000000000000000000', 'more follows'],
    ['of a type that does not exist', '4200200c0000000400000008', 'unknown type'],
    ['of a length that nothing has', '42002008ffffffff0000000000000000', 'an item of 4294967295 bytes'],
    ['with an integer of another size', '42002002000000080000000000000008', 'type integer has 8 bytes'],
    ['with a boolean that is neither', '42002006000000080000000000000002', 'neither 0 nor 1'],
    ['with padding of other bytes', '42002002000000040000000800000001', 'padded with other bytes'],
    ['with text that is not UTF-8', '4200200700000001ff00000000000000', 'not UTF-8'],
  ])('%s', (_what, hex, problem) => {
    expect(() => decodeTtlv(Buffer.from(hex, 'hex'))).toThrow(problem);
  });

  test('of too many structures in each other, or too many items', () => {
    expect(decodeTtlv(encodeTtlv(nested(16)))).toEqual(nested(16));
    expect(() => decodeTtlv(encodeTtlv(nested(17)))).toThrow('more than 16 structures');
    const wide = (count: number): Ttlv => ({
      tag: 1,
      type: 'structure',
      value: Array.from({ length: count }, () => nested(1)),
    });
    expect(() => decodeTtlv(encodeTtlv(wide(4095)))).not.toThrow();
    expect(() => decodeTtlv(encodeTtlv(wide(4096)))).toThrow('more than 4096 items');
  });
});
