import { wipe } from '../../base/wipe.ts';
import { KeyProblem } from '../../crypto/key-problem.ts';
import { PrivateKey } from '../../crypto/private-key.ts';
import { startsWith, textLines } from '../text-lines.ts';
import { decodeBech32 } from './bech32.ts';

const PREFIX = 'AGE-SECRET-KEY-';
const PLUGIN_PREFIX = 'AGE-PLUGIN-';
const ENCRYPTED = ['age-encryption.org/v1', '-----BEGIN AGE ENCRYPTED FILE-----'];
const KEY_SIZE = 32;
const MAX_KEYS = 64;

/** Tells whether a file is one of identities of age, one that is used or not. */
export function isAgeIdentityFile(contents: Buffer): boolean {
  if (ENCRYPTED.some((start) => startsWith(contents, start))) return true;
  const [first] = textLines(contents);
  return first !== undefined && [PREFIX, PLUGIN_PREFIX].some((prefix) => startsWith(first.bytes, prefix));
}

/**
 * Makes keys of a file of identities of age: one `AGE-SECRET-KEY-1…` a line, with comments and empty lines between
 * them. The caller wipes the contents. @throws KeyProblem `not-a-key`, `unsupported`
 */
export function readAgeIdentities(contents: Buffer): PrivateKey[] {
  if (ENCRYPTED.some((start) => startsWith(contents, start))) {
    throw new KeyProblem('unsupported', 'is encrypted by age, whose protected files are not opened');
  }
  const keys: PrivateKey[] = [];
  try {
    for (const { bytes } of textLines(contents)) {
      if (keys.length === MAX_KEYS)
        throw new KeyProblem('unsupported', `holds more than ${MAX_KEYS} identities of age`);
      keys.push(readIdentity(bytes));
    }
    return keys;
  } catch (error) {
    for (const key of keys) key.dispose();
    throw error;
  }
}

function readIdentity(line: Buffer): PrivateKey {
  if (startsWith(line, PLUGIN_PREFIX)) {
    throw new KeyProblem('unsupported', 'holds an identity of a plugin of age; X25519 keys are used');
  }
  const bytes = decodeBech32(line, PREFIX);
  try {
    if (bytes?.length !== KEY_SIZE) throw new KeyProblem('not-a-key', 'holds a damaged identity of age');
    return PrivateKey.x25519(bytes);
  } finally {
    if (bytes !== undefined) wipe(bytes);
  }
}
