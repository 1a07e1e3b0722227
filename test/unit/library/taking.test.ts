import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MalformedError } from '../../../src/base/bytes.ts';
import { decodeTaking, encodeTaking, type Taking } from '../../../src/library/taking.ts';

const name = fc.uint8Array({ minLength: 1, maxLength: 255 }).map((bytes) => Buffer.from(bytes));
const digits = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String);
const takings: fc.Arbitrary<Taking> = fc.record({
  directory: fc.string().map((path) => `/${path}`),
  name: name.map((bytes) => Buffer.concat([Buffer.from('x'), bytes, Buffer.from('.tar')])),
  archive: fc.record({ device: digits, inode: digits, size: digits, mtime: digits, ctime: digits }),
  image: name,
  imageId: fc.stringMatching(/^[0-9a-f]{32}$/),
});

const ARCHIVE = Buffer.from('a.tar').toString('hex');

describe('the record of an archive that is being taken', () => {
  test('is read as it was written', () => {
    fc.assert(
      fc.property(takings, (taking) => {
        expect(decodeTaking(encodeTaking(taking))).toEqual(taking);
      }),
    );
  });

  test('is refused when it is anything else', () => {
    fc.assert(
      fc.property(takings, fc.nat(), fc.string(), (taking, at, text) => {
        const whole = encodeTaking(taking);
        const cut = whole.slice(0, at % (whole.length - 1));
        for (const wrong of [text, cut, cut + text]) {
          try {
            decodeTaking(wrong);
          } catch (error) {
            expect(error).toBeInstanceOf(MalformedError);
          }
        }
        expect(() => decodeTaking(cut)).toThrow(MalformedError);
      }),
    );
    const archive = { device: '1', inode: '2', size: '3', mtime: '4', ctime: '5' };
    const imageId = '00'.repeat(16);
    const other = (member: string, value: unknown): string =>
      JSON.stringify({ version: 1, directory: '/', name: ARCHIVE, archive, image: '61', imageId, [member]: value });
    expect(() => decodeTaking(other('version', 1))).not.toThrow();
    for (const wrong of [
      other('version', 2),
      other('directory', 'relative'),
      other('name', '6'),
      other('name', ''),
      other('name', Buffer.from('../a').toString('hex')),
      other('archive', null),
      other('imageId', '../a'),
    ]) {
      expect(() => decodeTaking(wrong)).toThrow(MalformedError);
    }
  });
});
