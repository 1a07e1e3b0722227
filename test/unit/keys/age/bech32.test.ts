// Goal: Bech32 is read exactly as @scure/base reads it, but from bytes into memory that can be wiped.
import { bech32 } from '@scure/base';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeBech32 } from '../../../../src/keys/age/bech32.ts';

const PREFIXES = ['age', 'AGE-SECRET-KEY-'] as const;

function encode(prefix: string, bytes: Uint8Array): string {
  const text = bech32.encode(prefix.toLowerCase(), bech32.toWords(bytes), false);
  return prefix === prefix.toLowerCase() ? text : text.toUpperCase();
}

/** Decodes by the other implementation, and wants the prefix in its case. */
function expected(text: string, prefix: string): string | undefined {
  try {
    const decoded = bech32.decodeToBytes(text);
    const isPrefix = text.startsWith(`${prefix}1`) && decoded.prefix === prefix.toLowerCase();
    return isPrefix ? Buffer.from(decoded.bytes).toString('hex') : undefined;
  } catch {
    return undefined;
  }
}

const decode = (text: string, prefix: string) => decodeBech32(Buffer.from(text), prefix)?.toString('hex');

test('what the other one encodes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), fc.constantFrom(...PREFIXES), (bytes, prefix) => {
      const text = encode(prefix, bytes);
      expect(decode(text, prefix)).toBe(Buffer.from(bytes).toString('hex'));
      expect(decode(text, prefix === 'age' ? 'AGE-SECRET-KEY-' : 'age')).toBeUndefined();
    }),
  );
});

test('one or two other characters, and every length', () => {
  const characters = fc.constantFrom(...'qpzry9x8gf2tvdw0s3jn54khce6mua7lQPZRYBIO1bio -\0[');
  const change = fc.record({ at: fc.nat({ max: 100 }), character: characters });
  const changes = fc.array(change, { minLength: 1, maxLength: 2 });
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 33 }), fc.constantFrom(...PREFIXES), changes, (bytes, prefix, all) => {
      let text = encode(prefix, bytes);
      for (const { at, character } of all) {
        const index = at % text.length;
        text = text.slice(0, index) + character + text.slice(index + 1);
      }
      expect(decode(text, prefix)).toBe(expected(text, prefix));
      for (let length = 0; length < text.length; length++) {
        expect(decode(text.slice(0, length), prefix)).toBe(expected(text.slice(0, length), prefix));
      }
    }),
    { numRuns: 300 },
  );
});

test('groups of five bits that do not end as bytes do', () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 31 }), { maxLength: 60 }), (words) => {
      const text = bech32.encode('age', words, false);
      expect(decode(text, 'age')).toBe(expected(text, 'age'));
    }),
  );
});
