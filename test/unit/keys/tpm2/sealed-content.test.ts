import fc from 'fast-check';
import { expect, test } from 'vitest';
import { MalformedError } from '../../../../src/base/bytes.ts';
import { encodeSealed, parsePcrs, parseSealed, pcrsText } from '../../../../src/keys/tpm2/sealed-content.ts';

const pcrs = fc.record({
  bank: fc.constantFrom('sha1', 'sha256', 'sha384', 'sha512'),
  registers: fc.uniqueArray(fc.nat(23), { minLength: 1 }).map((list) => list.sort((a, b) => a - b)),
});
const part = fc.uint8Array({ minLength: 1, maxLength: 1024 }).map((bytes) => Buffer.from(bytes));

test('what is sealed is read as it was written', () => {
  fc.assert(
    fc.property(
      fc.record({ pcrs: fc.option(pcrs, { nil: undefined }), privatePart: part, publicPart: part }),
      (sealed) => {
        expect(parseSealed(encodeSealed(sealed))).toEqual(sealed);
      },
    ),
  );
});

test('the bytes are those of key-services.md', () => {
  const sealed = { privatePart: Buffer.from('aa', 'hex'), publicPart: Buffer.from('bbbb', 'hex') };
  expect(encodeSealed({ pcrs: undefined, ...sealed }).toString('hex')).toBe(
    '01 00000000 0001aa 0002bbbb'.replaceAll(' ', ''),
  );
  expect(encodeSealed({ pcrs: { bank: 'sha256', registers: [0, 7, 23] }, ...sealed }).toString('hex')).toBe(
    '01 00000001 000b 03 810080 0001aa 0002bbbb'.replaceAll(' ', ''),
  );
});

test('anything else is refused, or encodes to itself', () => {
  const refuses = (bytes: Uint8Array): void => {
    try {
      expect(encodeSealed(parseSealed(Buffer.from(bytes)))).toEqual(Buffer.from(bytes));
    } catch (error) {
      expect(error).toBeInstanceOf(MalformedError);
    }
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), refuses));
  const whole = encodeSealed({
    pcrs: parsePcrs('sha256:7'),
    privatePart: Buffer.alloc(40, 1),
    publicPart: Buffer.alloc(30, 2),
  });
  fc.assert(
    fc.property(fc.nat(whole.length - 1), fc.nat(255), fc.nat(whole.length), (at, value, length) => {
      const changed = Buffer.from(whole);
      changed[at] = value;
      refuses(changed.subarray(0, length));
    }),
  );
});

test.each([
  '02 00000000 0001aa 0001bb',
  '01 00000002 000b 03 010000 000b 03 010000 0001aa 0001bb',
  '01 00000001 000b 03 000000 0001aa 0001bb',
  '01 00000001 000b 04 01000000 0001aa 0001bb',
  '01 00000001 0012 03 010000 0001aa 0001bb',
  '01 ffffffff 000b 03 010000 0001aa 0001bb',
  '01 00000000 0000 0001bb',
  '01 00000000 0401',
  '01 00000000 0001aa 0001bb 00',
])('%s is refused', (text) => {
  expect(() => parseSealed(Buffer.from(text.replaceAll(' ', ''), 'hex'))).toThrow(MalformedError);
});

test('registers are written as tpm2-tools write them', () => {
  expect(parsePcrs('sha256:7,0,7')).toEqual({ bank: 'sha256', registers: [0, 7] });
  expect(pcrsText({ bank: 'sha1', registers: [0, 23] })).toBe('sha1:0,23');
  for (const text of [
    '',
    'sha256',
    'sha256:',
    'sha256:24',
    'sha256:-1',
    'sha256:0,',
    'md5:0',
    'toString:0',
    'sha256:all',
    'sha256:0+sha1:0',
  ])
    expect(parsePcrs(text)).toBeUndefined();
});
