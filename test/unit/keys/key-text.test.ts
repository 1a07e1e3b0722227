import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CkptfsError } from '../../../src/base/errors.ts';
import { Secret } from '../../../src/crypto/secret.ts';
import { keyText, newKeyText, parseKeyText } from '../../../src/keys/key-text.ts';

const digits = '00ff10a5b6c7d8e9fa0b1c2d3e4f5061';

function parse(text: string): string {
  return Buffer.from(parseKeyText(Buffer.from(text, 'latin1'), 'key file k').bytes).toString('hex');
}

describe('the text of a key file', () => {
  test.each([16, 24, 32])('of %i bytes is read in either case', (length) => {
    const hex = digits.repeat(2).slice(0, length * 2);
    expect(parse(hex)).toBe(hex);
    expect(parse(hex.toUpperCase())).toBe(hex);
  });

  test.each([`${digits}\n`, `${digits}\r\n`, `\n\t ${digits} \v\f\n\n`])('may have white space around it', (text) => {
    expect(parse(text)).toBe(digits);
  });

  test.each([
    ['', 'it is empty'],
    [' \n', 'found only white space'],
    [`${digits}0`, 'found 33 digits, an odd number'],
    ['00', 'found 1 bytes (2 digits)'],
    [digits.slice(2), 'found 15 bytes (30 digits)'],
    [`${digits}00`, 'found 17 bytes (34 digits)'],
    [digits.repeat(4), 'found 64 bytes (128 digits)'],
    [`${digits.slice(0, 10)}g${digits.slice(11)}`, 'byte 11 is not a hexadecimal digit'],
    [`\n${digits.slice(0, 16)} ${digits.slice(16)}`, 'byte 18 is not a hexadecimal digit'],
    [`0x${digits.slice(2)}`, 'byte 2 is not a hexadecimal digit'],
    [`\u00ef\u00bb\u00bf${digits}`, 'byte 1 is not a hexadecimal digit'],
    [`${digits}\0`, 'byte 33 is not a hexadecimal digit'],
  ])('%j is refused, saying what was expected and what found', (text, found) => {
    const error = caught(() => parse(text));
    expect(error.code).toBe('bad-key-file');
    expect(error.message).toBe(
      `key file k: expected a key of 16, 24 or 32 bytes in hexadecimal (32, 48 or 64 digits); ${found}`,
    );
    expect(error.data).toEqual({ reason: 'not-a-key' });
  });

  test('no byte but the 22 digits is one', () => {
    const accepted: number[] = [];
    for (let byte = 0; byte < 256; byte++) {
      const text = Buffer.from(digits);
      text[5] = byte;
      try {
        parseKeyText(text, 'k');
        accepted.push(byte);
      } catch {
        // Refused.
      }
    }
    expect(Buffer.from(accepted).toString('latin1')).toBe('0123456789ABCDEFabcdef');
  });

  test('is never repeated in an error', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 12, maxLength: 80 }), (text) => {
        try {
          parse(text);
        } catch (error) {
          const { message, data } = error as CkptfsError;
          expect(`${message}${JSON.stringify(data)}`).not.toContain(text.trim().slice(0, 12));
        }
      }),
    );
    const almost = `${digits}z`;
    expect(caught(() => parse(almost)).message).not.toContain(digits.slice(0, 8));
  });

  test('written and read again is the same key', () => {
    const key = Secret.random(24);
    const text = keyText(key);
    expect(text.toString('latin1')).toBe(`${Buffer.from(key.bytes).toString('hex')}\n`);
    expect(Buffer.from(parseKeyText(text, 'k').bytes)).toEqual(Buffer.from(key.bytes));
  });

  test.each([128, 192, 256] as const)('new, with %i bits', (bits) => {
    const texts = [newKeyText(bits), newKeyText(bits)];
    for (const text of texts) expect(parseKeyText(text, 'k').length * 8).toBe(bits);
    expect(texts[0]).not.toEqual(texts[1]);
  });
});

function caught(action: () => unknown): CkptfsError {
  try {
    action();
  } catch (error) {
    if (error instanceof CkptfsError) return error;
  }
  throw new Error('no CkptfsError was thrown');
}
