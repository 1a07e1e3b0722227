import { CkptfsError } from '../base/errors.ts';
import { KeyProblem } from '../crypto/key-problem.ts';
import { readSecretFile, type SecretFile } from './key-file.ts';

/** Bytes. Above a chain of certificates with a key of 16,384 bits. */
export const MAX_KEY_MATERIAL_SIZE = 65_536;

/** What a file is named for in messages, and the reason to give when it holds something else. */
const KINDS = { 'private key': 'not-a-private-key', recipient: 'not-a-recipient' } as const;
export type KeyMaterialKind = keyof typeof KINDS;

/**
 * Reads a file of keys or certificates into memory off the heap, which is wiped afterwards. The file may be a pipe.
 * @throws CkptfsError `bad-key-file` when it cannot be read or is too large, and for a KeyProblem of `parse`
 */
export function readKeyMaterial<T>(kind: KeyMaterialKind, path: string, parse: (contents: Buffer) => T): SecretFile<T> {
  try {
    return readSecretFile(kind, path, parse, MAX_KEY_MATERIAL_SIZE);
  } catch (error) {
    throw asKeyFileError(kind, path, error);
  }
}

/** Turns a KeyProblem into an error about the file. Returns anything else as it is. */
export function asKeyFileError(kind: KeyMaterialKind, path: string, error: unknown): unknown {
  if (!(error instanceof KeyProblem)) return error;
  const reason = error.reason === 'not-a-key' ? KINDS[kind] : error.reason;
  return new CkptfsError('bad-key-file', `${kind} ${path} ${error.message}`, { path, data: { reason } });
}
