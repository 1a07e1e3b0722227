import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MalformedError } from '../../../src/base/bytes.ts';
import { parseSlot, type SlotJwe, slotAlgorithm, slotParameters, slotThumbprint } from '../../../src/format/slot.ts';

const good: SlotJwe = { protected: 'eyJ9', encrypted_key: 'AA', iv: 'AAAA', ciphertext: '_-8', tag: 'Zg' };

function withHeader(header: string | Uint8Array): SlotJwe {
  return { ...good, protected: Buffer.from(header).toString('base64url') };
}

describe('parseSlot', () => {
  test('gives the members, in order, and nothing else', () => {
    const shuffled = { tag: 'Zg', iv: 'AAAA', protected: 'eyJ9', ciphertext: '_-8', encrypted_key: 'AA' };
    expect(JSON.stringify(parseSlot(shuffled))).toBe(JSON.stringify(good));
  });

  test('allows 8192 characters and no more', () => {
    expect(parseSlot({ ...good, encrypted_key: 'A'.repeat(8192) }).encrypted_key).toHaveLength(8192);
    expect(() => parseSlot({ ...good, encrypted_key: 'A'.repeat(8193) })).toThrow(MalformedError);
  });

  test.each([
    ['null', null],
    ['text', 'eyJ9'],
    ['an array', [good]],
    ['a number', 1],
    ['no members', {}],
    ['an unknown member', { ...good, header: {} }],
    ['recipients', { ...good, recipients: [] }],
    ['an own __proto__', JSON.parse(JSON.stringify(good).replace('{', '{"__proto__":{},')) as unknown],
    ['a missing tag', { ...good, tag: undefined }],
    ['a tag that is no text', { ...good, tag: 1 }],
    ['an empty member', { ...good, iv: '' }],
    ['padding', { ...good, iv: 'AA==' }],
    ['plain base64', { ...good, iv: '+/8A' }],
    ['white space', { ...good, iv: 'AAAA\n' }],
    ['a length no bytes have', { ...good, iv: 'AAAAA' }],
    ['bits beyond the last byte', { ...good, iv: 'AB' }],
    ['another alphabet', { ...good, iv: 'АААА' }],
  ])('refuses %s', (_what, value) => {
    expect(() => parseSlot(value)).toThrow(MalformedError);
  });

  test('throws nothing but MalformedError', () => {
    const member = fc.oneof(fc.string(), fc.base64String(), fc.anything());
    const object = fc.record({ protected: member, encrypted_key: member, iv: member, ciphertext: member, tag: member });
    fc.assert(
      fc.property(fc.oneof(fc.anything(), object), (value) => {
        try {
          parseSlot(value);
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe('slotAlgorithm', () => {
  test('reads alg', () => {
    expect(slotAlgorithm(withHeader('{"alg":"A256KW","enc":"A256GCM"}'))).toBe('A256KW');
    expect(slotParameters(withHeader('{"alg":"A256KW","enc":"A256GCM"}'))?.get('enc')).toBe('A256GCM');
  });

  test.each([
    ['no JSON', withHeader('{')],
    ['no object', withHeader('["alg"]')],
    ['null', withHeader('null')],
    ['no alg', withHeader('{"enc":"A256GCM"}')],
    ['an alg that is no text', withHeader('{"alg":1}')],
    ['an alg of the prototype only', withHeader('{"__proto__":{"alg":"A256KW"}}')],
    ['no UTF-8', withHeader(Buffer.from('7b22616c67223a22ff227d', 'hex'))],
  ])('is undefined for %s', (_what, slot) => {
    expect(slotAlgorithm(slot)).toBeUndefined();
  });

  test('is defined or undefined for any text, and never throws', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        const algorithm = slotAlgorithm(withHeader(text));
        expect(['string', 'undefined']).toContain(typeof algorithm);
      }),
      { numRuns: 1000 },
    );
  });
});

test.each([
  ['RSA-OAEP-256', 'x'.repeat(43)],
  ['ECDH-ES+A256KW', 'x'.repeat(43)],
  ['ckptfs-kmip', undefined],
  ['A256KW', undefined],
])('the key id of a slot of %s is a thumbprint only where it is of a public key', (alg, thumbprint) => {
  const text = JSON.stringify({ alg, kid: 'x'.repeat(43) });
  const slot = {
    protected: Buffer.from(text).toString('base64url'),
    encrypted_key: '',
    iv: '',
    ciphertext: '',
    tag: '',
  };
  expect(slotThumbprint(slot)).toBe(thumbprint);
});
