import fc from 'fast-check';
import { expect, test } from 'vitest';
import { MalformedError } from '../../../src/base/bytes.ts';
import { HiddenJson, joinSecretText } from '../../../src/keys/hidden-json.ts';

const parse = (text: string | Uint8Array) => HiddenJson.parse(Buffer.from(text));

test('texts are found by the names that lead to them', () => {
  const json = parse(' {"a" : {"b\\u0063": "x\\ny", "n": 7, "t": true}, "e": ["one", 2, "tw\\u006f"], "a2": "z"} ');
  expect(json.text('a', 'bc')).toBe('x\ny');
  expect(json.text('a2')).toBe('z');
  expect(json.plain('a', 'n')).toBe(7);
  expect(json.plain('a', 't')).toBe(true);
  expect(json.texts('e')).toEqual(['one', 'two']);
  for (const path of [['a'], ['b'], ['a', 'n'], ['a2', 'length'], ['a', '__proto__'], ['e']])
    expect(json.text(...path)).toBeUndefined();
  expect([json.plain('a2'), json.texts('a2'), json.texts('absent')]).toEqual([undefined, [], []]);
});

test('any object is read as JSON.parse reads it', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.oneof(fc.string(), fc.integer(), fc.object())), (object) => {
      const text = JSON.stringify(object, null, 1);
      const json = parse(text);
      const plain = JSON.parse(text) as Record<string, unknown>;
      for (const name of Object.keys(plain)) {
        const value = plain[name];
        expect(json.text(name)).toEqual(typeof value === 'string' ? value : undefined);
      }
    }),
  );
});

test('a text in base64 becomes a secret, also where what is no letter and no digit is escaped', () => {
  const bytes = Buffer.from(`fbef${'ff'.repeat(30)}`, 'hex');
  const plain = bytes.toString('base64');
  expect(plain).toMatch(/\+.*\/.*=/);
  const code = (character: string): string => `\\u00${character.charCodeAt(0).toString(16)}`;
  const lower = plain.replace(/[+/=]/g, code);
  const upper = plain.replace(/[+/=]/g, (character) => code(character).toUpperCase().replace('U', 'u'));
  for (const text of [plain, plain.replaceAll('/', '\\/'), lower, upper]) {
    const secret = parse(`{"data":{"plaintext":"${text}"}}`).secret('data', 'plaintext');
    expect(Buffer.from(secret?.bytes ?? [])).toEqual(bytes);
  }
  expect(parse('{"a":"","b":null}').secret('a')).toBeUndefined();
  expect(parse('{"a":"","b":null}').secret('b')).toBeUndefined();
  expect(() => parse('{"a":"AAA"}').secret('a')).toThrow('a is no base64');
});

test.each([
  '',
  '"',
  '{',
  '[]',
  '7',
  '"x"',
  '{"a"}',
  '{"a":"b}',
  '{"a":"b\\"}',
  '{"a":"b"} x',
  "{'a':1}",
  '{"a":"b""c"}',
])('%s is no object', (text) => {
  expect(() => parse(text)).toThrow(MalformedError);
});

test('no error repeats what it read, whatever it is', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      try {
        parse(Buffer.concat([Buffer.from('{"secret":"hunter2"'), bytes])).text('secret');
      } catch (error) {
        expect(error).toBeInstanceOf(MalformedError);
        expect((error as Error).message).not.toContain('hunter');
      }
    }),
  );
  expect(() => parse(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]))).toThrow('it is not UTF-8');
});

test('texts and bytes are joined', () => {
  expect(joinSecretText('a', Buffer.from('b'), 'c').toString()).toBe('abc');
});
