import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeBase64, encodeBase64 } from '../../../src/crypto/base64.ts';

test('bytes become what Node makes of them, and come back', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      const text = encodeBase64(bytes);
      expect(text.toString('latin1')).toBe(Buffer.from(bytes).toString('base64'));
      expect(decodeBase64(text)).toEqual(Buffer.from(bytes));
    }),
  );
});

test.each(['A', 'AA', 'AAA', 'A===', '====', 'AA=A', 'AAA=AAAA', 'AA-_', 'AA A', 'AAA\n', 'AAA\u00e9'])(
  'base64 is not "%s"',
  (text) => {
    expect(decodeBase64(Buffer.from(text))).toBeUndefined();
  },
);

test('nothing stands for nothing', () => {
  expect(decodeBase64(Buffer.alloc(0))).toHaveLength(0);
  expect(encodeBase64(Buffer.alloc(0))).toHaveLength(0);
});
