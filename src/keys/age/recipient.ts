import { KeyProblem } from '../../crypto/key-problem.ts';
import type { PublicJwk } from '../../crypto/public-key.ts';
import { decodeBech32 } from './bech32.ts';

const KEY_SIZE = 32;

/** Tells whether a word is a recipient of age, one that is used or not: `age1…`. */
export function isAgeRecipient(word: string): boolean {
  return /^age1[a-z0-9]+$/.test(word) && word.length > 20;
}

/** Reads an X25519 recipient of age. @throws KeyProblem `not-a-key`, `unsupported` */
export function readAgeRecipient(word: string): PublicJwk {
  const bytes = decodeBech32(Buffer.from(word), 'age');
  if (bytes?.length === KEY_SIZE) return { kty: 'OKP', crv: 'X25519', x: bytes.toString('base64url') };
  // A plugin is named between age1 and a second 1, which Bech32 itself has no digit for.
  const plugin = /^age1([a-z0-9]+)1/.exec(word)?.[1];
  if (plugin !== undefined) {
    throw new KeyProblem(
      'unsupported',
      `is a recipient of age by the plugin ${plugin.slice(0, 32)}; X25519 keys are used`,
    );
  }
  if (bytes !== undefined)
    throw new KeyProblem('unsupported', 'is a recipient of age of another kind; X25519 keys are used');
  throw new KeyProblem('not-a-key', 'holds a damaged recipient of age');
}
