import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { safeName, safeText } from '../../../src/cli/terminal-text.ts';

const bytes = (text: string): Buffer => Buffer.from(text, 'utf8');

describe('safeName', () => {
  test.each([
    ['pages-1.img', 'pages-1.img'],
    ['größe ✓', 'größe ✓'],
    ['a\nb\tc\r', 'a\\nb\\tc\\r'],
    ['\x1b[31mred', '\\x1b[31mred'],
    ['\x7f\u009b', '\\x7f\\u{009b}'],
    ['\u202egnp.exe', '\\u{202e}gnp.exe'],
    ['a\\n', 'a\\\\n'],
    ['\u2028', '\\u{2028}'],
  ])('%j', (name, shown) => {
    expect(safeName(bytes(name))).toBe(shown);
  });

  test('bytes that are no UTF-8, among some that are', () => {
    expect(safeName(Buffer.from([0x61, 0xff, 0xc3, 0xa4, 0xc3, 0x62]))).toBe('a\\xffä\\xc3b');
    expect(safeName(Buffer.from([0xed, 0xa0, 0x80]))).toBe('\\xed\\xa0\\x80');
  });

  test('different names never look the same, and none acts on a terminal', () => {
    const nameOf = (shown: string): Buffer =>
      Buffer.concat(
        [...shown.matchAll(/\\x([0-9a-f]{2})|\\u\{([0-9a-f]+)\}|\\([nrt\\])|([^\\]+)/g)].map(
          ([, byte, code, letter, plain]) => {
            if (byte !== undefined) return Buffer.from([Number.parseInt(byte, 16)]);
            if (code !== undefined) return bytes(String.fromCodePoint(Number.parseInt(code, 16)));
            if (letter !== undefined) return bytes({ n: '\n', r: '\r', t: '\t', '\\': '\\' }[letter] ?? '');
            return bytes(plain ?? '');
          },
        ),
      );
    const hostile = fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc.string({ unit: 'binary', maxLength: 20 }).map((text) => bytes(text)),
    );
    fc.assert(
      fc.property(hostile, (name) => {
        const shown = safeName(name);
        expect(shown).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
        expect(nameOf(shown)).toEqual(Buffer.from(name));
      }),
      { numRuns: 2000 },
    );
  });
});

test('safeText keeps a message one line and its backslashes', () => {
  expect(safeText('a\\b\nckptfs: forged \x1b]0;title\x07')).toBe('a\\b\\nckptfs: forged \\x1b]0;title\\x07');
  expect(safeText('\ud800')).toBe('\\u{d800}');
});
