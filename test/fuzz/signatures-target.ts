import { allVectors } from '../../scripts/vectors/all.ts';
import { jsonText } from '../../scripts/vectors/seal.ts';
import { unpack } from '../../scripts/vectors/vector.ts';
import { encodeSignatures, parseSignatures } from '../../src/format/signatures.ts';
import { encodeProtectedHeader, readProtectedHeader } from '../../src/image/signatures/protected-header.ts';
import { mutate, mutateJson } from './mutate.ts';
import { type FuzzTarget, must, outcomeOfParsing } from './target.ts';

/** The file `signatures`, and the protected header of each signature in what parses. */
export const signaturesTarget: FuzzTarget = {
  name: 'signatures',
  prepare: () => {
    const texts = Object.values(allVectors.signatures).map((vector) =>
      'input' in vector ? unpack(vector.input) : Buffer.alloc(0),
    );
    const short = texts.filter((text) => text.length > 0 && text.length < 8192);
    const headers = short.flatMap((text) => headersIn(JSON.parse(text.toString())));
    return {
      attempt: (random) => {
        const text = random.pick(short);
        const value: unknown = JSON.parse(text.toString());
        if (random.chance(2)) return attemptOf(mutate(text, random));
        if (random.chance(2)) return attemptOf(Buffer.from(jsonText(mutateJson(value, random) ?? null)));
        const header = JSON.stringify(mutateJson(random.pick(headers), random)) ?? '';
        return attemptOf(Buffer.from(jsonText({ ...(value as object), signatures: [signatureWith(header)] })));
      },
    };
  },
};

function headersIn(file: { signatures?: { protected?: string }[] }): unknown[] {
  return (file.signatures ?? []).flatMap(({ protected: text }) =>
    text === undefined ? [] : [JSON.parse(Buffer.from(text, 'base64url').toString())],
  );
}

function signatureWith(header: string): object {
  return { protected: Buffer.from(header).toString('base64url'), signature: 'AAAA' };
}

function attemptOf(input: Buffer) {
  return { input, check: () => outcomeOfParsing(() => checkSignatures(input)) };
}

function checkSignatures(input: Buffer): string {
  const file = parseSignatures(input);
  must(encodeSignatures(file).equals(input), 'parses, and encodes to other bytes');
  const headers = file.signatures.map((one) => readProtectedHeader(one.protected));
  for (const header of headers) {
    if (header !== undefined) must(header.certificates.length <= 8, 'more certificates than there can be');
    if (header !== undefined) {
      const again = readProtectedHeader(encodeProtectedHeader(header));
      must(JSON.stringify(again) === JSON.stringify(header), 'a header that is written reads as another');
    }
  }
  return headers.some((header) => header !== undefined) ? 'ok' : 'ignored';
}
