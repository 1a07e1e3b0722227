import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MalformedError } from '../../../src/base/bytes.ts';
import { cipherNames } from '../../../src/format/ciphers.ts';
import {
  encodeManifestEnvelope,
  manifestAdditionalData,
  parseManifestEnvelope,
} from '../../../src/format/manifest-envelope.ts';

const bytesOf = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const envelopes = fc.record({
  nonce: bytesOf(24),
  sealed: fc.integer({ min: 1, max: 3 }).chain((pages) => bytesOf(pages * 4096 + 16)),
});

describe('manifest envelope', () => {
  test('parse is the inverse of encode', () => {
    fc.assert(
      fc.property(envelopes, ({ nonce, sealed }) => {
        const parsed = parseManifestEnvelope(encodeManifestEnvelope({ nonce, sealed }));
        expect(Buffer.compare(parsed.nonce, nonce)).toBe(0);
        expect(Buffer.compare(parsed.sealed, sealed)).toBe(0);
      }),
      { numRuns: 30 },
    );
  });

  test('only whole pages, at least one', () => {
    const page = encodeManifestEnvelope({ nonce: Buffer.alloc(24), sealed: Buffer.alloc(4096 + 16) });
    for (let length = 0; length < page.length; length++) {
      expect(() => parseManifestEnvelope(page.subarray(0, length))).toThrow(MalformedError);
    }
    expect(() => parseManifestEnvelope(Buffer.concat([page, Buffer.alloc(1)]))).toThrow(MalformedError);
    expect(parseManifestEnvelope(page).sealed.length).toBe(4112);
  });

  test('no bit of the first 16 bytes may be another', () => {
    const page = encodeManifestEnvelope({ nonce: Buffer.alloc(24), sealed: Buffer.alloc(4096 + 16) });
    for (let bit = 0; bit < 128; bit++) {
      const bytes = Buffer.from(page);
      bytes.writeUInt8(bytes.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      expect(() => parseManifestEnvelope(bytes)).toThrow(/unknown bytes/);
    }
  });

  test('additional data tells images, ciphers and chunk sizes apart', () => {
    const all = [Buffer.alloc(16, 1), Buffer.alloc(16, 2)].flatMap((id) =>
      cipherNames.flatMap((cipher) => [4096, 65536].map((size) => manifestAdditionalData(id, cipher, size))),
    );
    expect(new Set(all.map((bytes) => bytes.toString('hex'))).size).toBe(all.length);
    expect(all.every(({ length }) => length === 34)).toBe(true);
  });
});
