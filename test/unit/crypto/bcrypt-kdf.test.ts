// Goal: our loop around the hash of bcrypt-pbkdf gives what that package gives, which is what OpenBSD gives.
import { createRequire } from 'node:module';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bcryptPbkdf } from '../../../src/crypto/bcrypt-kdf.ts';
import { Secret } from '../../../src/crypto/secret.ts';

type Pbkdf = (
  pass: Uint8Array,
  passLength: number,
  salt: Uint8Array,
  saltLength: number,
  key: Uint8Array,
  keyLength: number,
  rounds: number,
) => number;
const { pbkdf } = createRequire(import.meta.url)('bcrypt-pbkdf') as { pbkdf: Pbkdf };

async function derive(passphrase: Uint8Array, salt: Uint8Array, rounds: number, length: number): Promise<string> {
  const [secret, derived] = [Secret.copy(passphrase), Secret.zeros(length)];
  const made = await bcryptPbkdf(secret, salt, rounds, length);
  const text = Buffer.from(made.bytes).toString('hex');
  for (const each of [secret, derived, made]) each.wipe();
  return text;
}

test('a vector of the regression tests of OpenBSD', async () => {
  const found = await derive(Buffer.from('password'), Buffer.from('salt'), 4, 32);
  expect(found).toBe('5bbf0cc293587f1c3635555c27796598d47e579071bf427e9d8fbe842aba34d9');
});

test('any passphrase, salt, rounds and length', async () => {
  const bytes = fc.uint8Array({ minLength: 1, maxLength: 100 });
  await fc.assert(
    fc.asyncProperty(
      bytes,
      bytes,
      fc.integer({ min: 1, max: 3 }),
      fc.integer({ min: 1, max: 100 }),
      async (p, s, r, n) => {
        const key = new Uint8Array(n);
        expect(pbkdf(p, p.length, s, s.length, key, n, r)).toBe(0);
        expect(await derive(p, s, r, n)).toBe(Buffer.from(key).toString('hex'));
      },
    ),
    { numRuns: 15 },
  );
});
