import fc from 'fast-check';
import { expect, test } from 'vitest';
import { quotePath } from '../../../src/fs/quote-path.ts';

test.each([
  ['plain', 'dir/pages-1.img', '"dir/pages-1.img"'],
  ['other scripts', 'größe ✓', '"größe ✓"'],
  ['quotes and backslashes', 'a"b\\c', '"a\\"b\\\\c"'],
  ['line breaks', 'a\nb\u2028c', '"a\\x0ab\\xe2\\x80\\xa8c"'],
  ['terminal sequences', '\x1b[2J', '"\\x1b[2J"'],
  ['text that runs backwards', 'a\u202eb', '"a\\xe2\\x80\\xaeb"'],
])('%s', (_, path, expected) => {
  expect(quotePath(Buffer.from(path))).toBe(expected);
});

test('bytes that are no text', () => {
  expect(quotePath(Buffer.from([0x61, 0xff, 0xc3, 0xb6, 0x22]))).toBe('"a\\xff\\xc3\\xb6\\""');
});

test('never a control character, whatever the bytes', () => {
  fc.assert(fc.property(fc.uint8Array(), (bytes) => !/\p{Cc}/u.test(quotePath(bytes))));
});
