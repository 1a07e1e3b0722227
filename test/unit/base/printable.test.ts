import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { printable, printableJson, printableName, quotedPath } from '../../../src/base/printable.ts';

const bytes = (text: string): Buffer => Buffer.from(text, 'utf8');

describe('printableName', () => {
  test.each([
    ['pages-1.img', 'pages-1.img'],
    ['größe ✓', 'größe ✓'],
    ['a\nb\tc\r', 'a\\nb\\tc\\r'],
    ['\x1b[31mred', '\\x1b[31mred'],
    ['\x7f\u009b', '\\x7f\\u{009b}'],
    ['\u202egnp.exe', '\\u{202e}gnp.exe'],
    ['a\\n', 'a\\\\n'],
    ['\u2028', '\\u{2028}'],
    ['a\u3164b\ufe0f\u115f', 'a\\u{3164}b\\u{fe0f}\\u{115f}'],
    ['e\u0301', 'e\u0301'],
    [`e${'\u0301'.repeat(7)}`, `e${'\u0301'.repeat(4)}${'\\u{0301}'.repeat(3)}`],
  ])('%j', (name, shown) => {
    expect(printableName(bytes(name))).toBe(shown);
  });

  test('bytes that are no UTF-8, among some that are', () => {
    expect(printableName(Buffer.from([0x61, 0xff, 0xc3, 0xa4, 0xc3, 0x62]))).toBe('a\\xffä\\xc3b');
    expect(printableName(Buffer.from([0xed, 0xa0, 0x80]))).toBe('\\xed\\xa0\\x80');
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
        const shown = printableName(name);
        expect(shown).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
        expect(nameOf(shown)).toEqual(Buffer.from(name));
      }),
      { numRuns: 2000 },
    );
  });
});

test('printable keeps a message one line and its backslashes', () => {
  expect(printable('a\\b\nckptfs: forged \x1b]0;title\x07')).toBe('a\\b\\nckptfs: forged \\x1b]0;title\\x07');
  expect(printable('\ud800')).toBe('\\u{d800}');
});

test('a long text keeps its beginning and its end', () => {
  expect(printable('abcdefghij', 7)).toBe('abc…hij');
  expect(printable('abcdefg', 7)).toBe('abcdefg');
  expect(printable('\x1b'.repeat(100), 11)).toBe('\\x1b\\…b\\x1b');
  expect(printable('x'.repeat(1 << 20)).length).toBe(10_000);
  // Half of a pair is never shown.
  expect(printable('😀'.repeat(10), 6)).toBe('😀…😀');
  expect(printableName(Buffer.alloc(300, 0xff), 21)).toHaveLength(21);
});

describe('quotedPath', () => {
  test.each([
    ['plain', 'dir/pages-1.img', '"dir/pages-1.img"'],
    ['other scripts', 'größe ✓', '"größe ✓"'],
    ['quotes and backslashes', 'a"b\\c', '"a\\"b\\\\c"'],
    ['line breaks', 'a\nb\u2028c', '"a\\nb\\u{2028}c"'],
    ['terminal sequences', '\x1b[2J', '"\\x1b[2J"'],
    ['text that runs backwards', 'a\u202eb', '"a\\u{202e}b"'],
  ])('%s', (_, path, expected) => {
    expect(quotedPath(bytes(path))).toBe(expected);
  });

  test('bytes that are no text', () => {
    expect(quotedPath(Buffer.from([0x61, 0xff, 0xc3, 0xb6, 0x22]))).toBe('"a\\xffö\\""');
  });
});

test('printableJson says the same in characters that act on nothing', () => {
  fc.assert(
    fc.property(fc.anything({ values: [fc.string({ unit: 'binary' })] }), (value) => {
      const json = JSON.stringify([value], null, 2);
      const shown = printableJson(json);
      expect(shown.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
      expect(JSON.parse(shown)).toEqual(JSON.parse(json));
    }),
  );
});
