import fc from 'fast-check';
import { expect, test } from 'vitest';
import { MalformedError } from '../../../src/base/bytes.ts';
import { parseSlotDescription, slotInstant, slotKinds } from '../../../src/format/slot-description.ts';

const instant = fc
  .date({ min: new Date(0), max: new Date('9999-12-31T23:59:59Z'), noInvalidDate: true })
  .map((time) => slotInstant(time));
const line = (maxLength: number) =>
  fc.string({ unit: 'grapheme', minLength: 1, maxLength }).filter((text) => text.length <= maxLength);
const digest = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString('base64url'));
const description = fc
  .record(
    {
      kind: fc.constantFrom(...slotKinds),
      label: line(128),
      subject: line(512),
      certificate: digest,
      notAfter: instant,
      created: instant,
      url: fc.webUrl({ validSchemes: ['https'] }),
    },
    { requiredKeys: [] },
  )
  .filter((value) => Object.keys(value).length > 0);

test('what is parsed encodes to the same text, whatever the order of the members was', () => {
  fc.assert(
    fc.property(description, (value) => {
      const parsed = parseSlotDescription(JSON.parse(JSON.stringify(value)));
      expect(parsed).toEqual(value);
      const reversed = Object.fromEntries(Object.entries(value).reverse());
      expect(JSON.stringify(parseSlotDescription(reversed))).toBe(JSON.stringify(parsed));
    }),
  );
});

test('anything else is malformed', () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.jsonValue(), fc.dictionary(fc.constantFrom('kind', 'label', 'url'), fc.jsonValue())),
      (value) => {
        try {
          const parsed = parseSlotDescription(value);
          expect(parsed).toEqual(value);
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedError);
        }
      },
    ),
  );
});

test.each([
  ['a line feed', { label: 'a\nb' }],
  ['a C1 control character', { label: 'a\u009bb' }],
  ['a subject of 513 characters', { subject: 'x'.repeat(513) }],
  ['a date without its zone', { created: '2026-11-29T12:00:00' }],
  ['a date with fractions', { created: '2026-11-29T12:00:00.5Z' }],
  ['hour 24', { notAfter: '2026-11-29T24:00:00Z' }],
  ['a digest that is cut', { certificate: 'A'.repeat(42) }],
  ['a URL with a space', { url: 'https://a.example/ b' }],
  ['a URL of 1025 characters', { url: `https://${'a'.repeat(1017)}` }],
  ['a number', { label: 1 }],
  ['null', { kind: null }],
  ['a member of every object', JSON.parse('{"__proto__":"x"}')],
  ['an array', ['kind']],
])('%s is refused', (_what, value) => {
  expect(() => parseSlotDescription(value)).toThrow(MalformedError);
});
