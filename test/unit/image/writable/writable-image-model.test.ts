import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cipherNames } from '../../../../src/format/ciphers.ts';
import { compressionNames } from '../../../../src/format/compressions.ts';
import { type Operation, operation } from './operations.ts';
import { newImage, Session } from './session.ts';

/** An image that a few files were written to, so that every operation finds something. */
const beginning: Operation[] = [
  { kind: 'create', directory: 0, name: 'a' },
  { kind: 'mkdir', directory: 0, name: 'b' },
  { kind: 'create', directory: 1, name: 'c' },
  { kind: 'write', file: 0, offset: 0, length: 100_000, seed: 1 },
];

for (const [cipher, compression] of [
  ...cipherNames.map((cipher) => [cipher, undefined] as const),
  ...compressionNames.map((compression) => ['aes-256-xts', compression] as const),
]) {
  describe(`${cipher}, ${compression ?? 'not compressed'}`, () => {
    for (const chunkSize of compression === undefined ? [4096, 16384, 65536] : [32768]) {
      test(`${chunkSize / 1024} KiB chunks: whatever is done, the image holds what a plain tree would`, async () => {
        await fc.assert(
          fc.asyncProperty(fc.array(operation(chunkSize), { minLength: 5, maxLength: 40 }), async (operations) => {
            const session = new Session(await newImage(cipher, chunkSize, undefined, compression));
            try {
              for (const step of [...beginning, ...operations]) session.apply(step);
              session.check();
              for (const kind of ['reopen', 'seal'] as const) {
                session.apply({ kind });
                session.check();
              }
            } finally {
              session.close();
            }
          }),
          { numRuns: 25 },
        );
      });
    }
  });
}

test('after every single step', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(operation(4096), { minLength: 20, maxLength: 60 }), async (operations) => {
      const session = new Session(await newImage('aes-256-xts', 4096), { poolSize: 4 * 4096 });
      try {
        for (const step of [...beginning, ...operations]) {
          session.apply(step);
          session.check();
        }
      } finally {
        session.close();
      }
    }),
    { numRuns: 40 },
  );
  expect.assertions(0);
});
