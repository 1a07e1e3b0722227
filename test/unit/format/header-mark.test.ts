import { expect, test } from 'vitest';
import { encodeMarkedHeader, parseHeader } from '../../../src/format/header.ts';

const imageId = Buffer.alloc(16, 7);
const TIME = '2026-11-29T12:00:00Z';

test.each(['shredded', 'ephemeral'] as const)(
  'a header that is %s is refused as that, in its one form alone',
  (mark) => {
    const bytes = encodeMarkedHeader(imageId, mark, TIME);
    expect(() => parseHeader(bytes)).toThrow(expect.objectContaining({ code: 'not-an-image', data: { reason: mark } }));
    const text = bytes.toString();
    const damaged = [
      text.slice(0, -1),
      text.replace(TIME, '2026-11-29'),
      text.replace(`"${TIME}"`, '7'),
      text.replace('0707', 'xx07'),
      text.replace(`"${mark}"`, `"slots": [],\n  "${mark}"`),
      text.replace(/\s+/g, ' '),
    ];
    for (const one of damaged)
      expect(() => parseHeader(Buffer.from(one))).toThrow(expect.objectContaining({ code: 'damaged' }));
  },
);

test('a header is not both', () => {
  const text = encodeMarkedHeader(imageId, 'shredded', TIME).toString();
  const both = text.replace('\n}', `,\n  "ephemeral": "${TIME}"\n}`);
  expect(() => parseHeader(Buffer.from(both))).toThrow(expect.objectContaining({ code: 'damaged' }));
});
