// Goal: cipher.img gives what it has, or is refused.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseCipherImage } from '../../../src/criu/cipher-image.ts';
import { cipherImage, field, u32 } from '../../support/criu-encryption.ts';
import { criuCases } from '../../support/criu-fixtures.ts';

const layers = criuCases.flatMap(({ name, encrypted, secrets }) =>
  Object.entries(secrets).map(([layer, known]) => ({
    name: path.join(name, layer),
    encrypted: path.join(encrypted, layer),
    known,
  })),
);

test.each(layers)('$name', ({ encrypted, known }) => {
  const found = parseCipherImage(readFileSync(path.join(encrypted, 'cipher.img')));
  expect(found.iv.toString('hex')).toBe(known.aes_iv);
  expect(found.digest?.toString('hex')).toBe(known.hmac_digest);
  expect(found.token).toHaveLength(256);
  expect(found.aesKey).toHaveLength(256);
});

describe('what is malformed', () => {
  const [token, pagesKey, iv, digest] = [
    Buffer.alloc(256, 1),
    Buffer.alloc(256, 2),
    Buffer.alloc(16, 3),
    Buffer.alloc(32, 4),
  ];
  const right = cipherImage(token, pagesKey, iv, digest);
  const of = (...fields: readonly Buffer[]): Buffer => {
    const message = Buffer.concat(fields);
    return Buffer.concat([right.subarray(0, 8), u32(message.length), message]);
  };

  test('every cut of it', () => {
    for (let length = 0; length < right.length; length++)
      expect(() => parseCipherImage(right.subarray(0, length))).toThrow(expect.objectContaining({ code: 'damaged' }));
  });

  test.each<[string, Buffer, string]>([
    ['another magic', Buffer.concat([u32(0x54564319), u32(1), right.subarray(8)]), 'another magic'],
    ['bytes at the end', Buffer.concat([right, Buffer.of(0)]), 'bytes follow'],
    ['no token', of(field(2, pagesKey), field(3, iv), field(4, digest)), 'field 1 is missing'],
    ['no key', of(field(1, token), field(3, iv), field(4, digest)), 'field 2 is missing'],
    ['no tweak', of(field(1, token), field(2, pagesKey), field(4, digest)), 'field 3 is missing'],
    ['a short tweak', of(field(1, token), field(2, pagesKey), field(3, iv.subarray(1))), 'field 3 has 15 bytes'],
    ['a long digest', of(field(1, token), field(2, pagesKey), field(3, iv), field(4, token)), 'field 4 has 256 bytes'],
    ['a number in place of bytes', of(field(1, 7), field(2, pagesKey), field(3, iv)), 'field 1 is a number'],
    ['an empty token', of(field(1, Buffer.alloc(0)), field(2, pagesKey), field(3, iv)), 'field 1 has 0 bytes'],
    ['a token of another size', of(field(1, token.subarray(1)), field(2, pagesKey), field(3, iv)), 'for the same key'],
    ['a group', of(Buffer.of(0x0b)), 'groups'],
    ['a varint without an end', of(Buffer.alloc(20, 0xff)), 'no message'],
  ])('%s', (_, bytes, reason) => {
    expect(() => parseCipherImage(bytes, '/d/cipher.img')).toThrow(
      expect.objectContaining({ code: 'damaged', path: '/d/cipher.img', message: expect.stringContaining(reason) }),
    );
  });

  test('a digest may be missing, and the last of a field counts', () => {
    expect(parseCipherImage(of(field(1, token), field(2, pagesKey), field(3, iv))).digest).toBeUndefined();
    const twice = parseCipherImage(
      of(field(1, pagesKey), field(1, token), field(2, pagesKey), field(3, iv), field(9, 1)),
    );
    expect(twice.token).toEqual(token);
  });
});
