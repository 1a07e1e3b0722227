import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CkptfsError } from '../../../src/base/errors.ts';
import { cipherNames } from '../../../src/format/ciphers.ts';
import { authenticatedHeaderBytes, encodeHeader, type Header, parseHeader } from '../../../src/format/header.ts';

const base64url = fc
  .uint8Array({ minLength: 1, maxLength: 60 })
  .map((bytes) => Buffer.from(bytes).toString('base64url'));
const bytesOf = (length: number) =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((bytes) => Buffer.from(bytes));

const replaces = fc.uniqueArray(bytesOf(16), { minLength: 1, maxLength: 3, selector: (id) => id.toString('hex') });

const headers: fc.Arbitrary<Header> = fc.record(
  {
    imageId: bytesOf(16),
    cipher: fc.constantFrom(...cipherNames),
    chunkSize: fc.constantFrom(4096, 8192, 16384, 32768, 65536),
    slots: fc.array(
      fc.record({
        protected: base64url,
        encrypted_key: base64url,
        iv: base64url,
        ciphertext: base64url,
        tag: base64url,
      }),
      { minLength: 1, maxLength: 4 },
    ),
    mac: bytesOf(32),
    replaces,
  },
  { requiredKeys: ['imageId', 'cipher', 'chunkSize', 'slots', 'mac'] },
);

describe('header', () => {
  test('parse is the inverse of encode', () => {
    fc.assert(
      fc.property(headers, (header) => {
        expect(parseHeader(encodeHeader(header))).toEqual(header);
      }),
    );
  });

  test('what the MAC is over is the encoding without the member mac, every other member in it', () => {
    fc.assert(
      fc.property(headers, (header) => {
        const { mac, ...rest } = JSON.parse(encodeHeader(header).toString());
        expect(mac).toBe(header.mac.toString('base64url'));
        expect(authenticatedHeaderBytes(header).toString()).toBe(`${JSON.stringify(rest, null, 2)}\n`);
      }),
    );
  });

  test('any other text is refused, or is the encoding of what it says', () => {
    const changed = fc.tuple(headers, fc.nat(), fc.constantFrom(' ', '\n', '"', ',', '0', 'a', '\\', ''), fc.nat(1));
    fc.assert(
      fc.property(changed, ([header, at, insert, drop]) => {
        const text = encodeHeader(header).toString();
        const position = at % text.length;
        const bytes = Buffer.from(text.slice(0, position) + insert + text.slice(position + drop));
        try {
          expect(encodeHeader(parseHeader(bytes)).equals(bytes)).toBe(true);
        } catch (error) {
          if (!(error instanceof CkptfsError)) throw error;
          expect(['not-an-image', 'unsupported-format', 'damaged']).toContain(error.code);
        }
      }),
      { numRuns: 2000 },
    );
  });

  test.each([
    ['no id', []],
    ['too many', Array.from({ length: 65 }, (_, at) => at.toString(16).padStart(32, '0'))],
    ['an id twice', ['1'.repeat(32), '1'.repeat(32)]],
    ['its own', ['1'.repeat(32), 'f'.repeat(32)]],
    ['what is no id', ['F'.repeat(32)]],
    ['what is no list', '1'.repeat(32)],
  ])('a list of replaced images with %s is refused', (_, replaced) => {
    const [header] = fc.sample(headers, 1) as [Header];
    const text = encodeHeader({
      ...header,
      imageId: Buffer.alloc(16, 0xff),
      replaces: [Buffer.alloc(16, 1)],
    }).toString();
    const value = { ...JSON.parse(text), replaces: replaced };
    expect(() => parseHeader(Buffer.from(`${JSON.stringify(value, null, 2)}\n`))).toThrow('header member "replaces"');
  });

  test('a message shows hostile text only as one short line', () => {
    const hostile = { format: 'ckptfs', version: `\u001b[2J\n${'x'.repeat(500)}` };
    expect(() => parseHeader(Buffer.from(JSON.stringify(hostile)))).toThrow(/^[\x20-\x7e]{1,120}$/);
  });

  test.each(['version', 'image', 'slots', 'mac', 'unknown'])(
    '%s nested as deeply as fits is refused cleanly',
    (name) => {
      const nested = '['.repeat(500_000) + ']'.repeat(500_000);
      const members = { format: '"ckptfs"', version: '1', image: '""', [name]: nested };
      const text = Object.entries(members).map(([key, value]) => `"${key}":${value}`);
      expect(() => parseHeader(Buffer.from(`{${text.join()}}`))).toThrow(CkptfsError);
    },
  );

  test('of an unknown version it is said which is known', () => {
    const bytes = Buffer.from('{"format":"ckptfs","version":2}');
    expect(() => parseHeader(bytes)).toThrow(
      expect.objectContaining({
        code: 'unsupported-format',
        message: 'image format version 2 is not known; this ckptfs reads version 1',
        data: { reason: 'version' },
      }),
    );
  });
});
