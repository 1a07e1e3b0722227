import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MalformedError } from '../../../src/base/bytes.ts';
import {
  encodeSignatures,
  encodeStatement,
  MAX_SIGNATURES,
  MAX_SIGNATURES_SIZE,
  parseSignatures,
  parseStatement,
  type SignatureFile,
  type SignatureStatement,
} from '../../../src/format/signatures.ts';

const bytesOf = (length: number) =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((bytes) => Buffer.from(bytes));
const base64url = fc
  .uint8Array({ minLength: 1, maxLength: 60 })
  .map((bytes) => Buffer.from(bytes).toString('base64url'));

const statements: fc.Arbitrary<SignatureStatement> = fc.record({
  imageId: bytesOf(16),
  epoch: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
  headerDigest: bytesOf(32),
  manifestDigest: bytesOf(32),
});
const files: fc.Arbitrary<SignatureFile> = fc.record({
  statement: statements,
  signatures: fc.array(fc.record({ protected: base64url, signature: base64url }), { minLength: 1, maxLength: 16 }),
});
const [sample] = fc.sample(files, { numRuns: 1, seed: 1 }) as [SignatureFile];

function refusal(text: string): string {
  try {
    parseSignatures(Buffer.from(text));
    return 'accepted';
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    return error.message;
  }
}

describe('signatures', () => {
  test('parse is the inverse of encode, for the file and for the statement in it', () => {
    fc.assert(
      fc.property(files, (file) => {
        expect(parseSignatures(encodeSignatures(file))).toEqual(file);
        expect(parseStatement(encodeStatement(file.statement))).toEqual(file.statement);
      }),
    );
  });

  test('any other text is refused, or is the encoding of what it says', () => {
    const inserted = fc.constantFrom(' ', '\n', '"', ',', '0', 'a', '\\', '{', '=', '');
    fc.assert(
      fc.property(files, fc.nat(), inserted, fc.nat(1), (file, at, insert, drop) => {
        const text = encodeSignatures(file).toString();
        const position = at % text.length;
        const bytes = Buffer.from(text.slice(0, position) + insert + text.slice(position + drop));
        try {
          expect(encodeSignatures(parseSignatures(bytes)).equals(bytes)).toBe(true);
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedError);
        }
      }),
      { numRuns: 1000 },
    );
  });

  test('arbitrary JSON is refused as malformed', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        expect(refusal(text)).not.toBe('accepted');
      }),
    );
  });

  test('there are 1 to 16 signatures, and so many bytes', () => {
    const [one] = sample.signatures;
    const with_ = (count: number, change = {}) =>
      encodeSignatures({
        ...sample,
        signatures: Array.from({ length: count }, () => ({ ...one, ...change }) as never),
      });
    expect(refusal(with_(MAX_SIGNATURES).toString())).toBe('accepted');
    expect(refusal(with_(MAX_SIGNATURES + 1).toString())).toBe('17 signatures; at most 16 are possible');
    expect(refusal(with_(0).toString())).toBe('the file has no list of signatures');
    const long = with_(1, { signature: 'A'.repeat(MAX_SIGNATURES_SIZE) }).toString();
    expect(refusal(long)).toMatch(/^signatures of \d+ bytes$/);
  });

  test.each([
    ['version', 2, 'the payload is not a statement of ckptfs'],
    ['format', 'ckptfs', 'the payload is not a statement of ckptfs'],
    ['image', 'AB'.repeat(16), 'image of a statement'],
    ['epoch', 0, 'epoch of a statement'],
    ['epoch', 1.5, 'epoch of a statement'],
    ['epoch', 2 ** 53, 'epoch of a statement'],
    ['header', 'A'.repeat(42), 'header of a statement'],
    ['manifest', `${'A'.repeat(42)}B`, 'not in its one form'],
    ['more', true, 'not in its one form'],
  ])('a statement with %s %j is refused', (name, value, problem) => {
    const statement = { ...JSON.parse(encodeStatement(sample.statement).toString()), [name]: value };
    const payload = Buffer.from(JSON.stringify(statement)).toString('base64url');
    const text = JSON.stringify({ payload, signatures: sample.signatures }, null, 2);
    expect(refusal(`${text}\n`)).toContain(problem);
  });

  test('an unprotected header, as other tools may write it, is not in the one form', () => {
    const file = JSON.parse(encodeSignatures(sample).toString());
    file.signatures[0].header = { kid: 'x' };
    expect(refusal(`${JSON.stringify(file, null, 2)}\n`)).toBe('the file is not in its one form');
  });
});
