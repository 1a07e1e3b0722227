/**
 * What is wrong with bytes that should be a key:
 * - `not-a-key`: they are damaged, or something else;
 * - `unsupported`: they are a key that ckptfs does not use, for its kind, size or encryption;
 * - `passphrase-needed`: they are encrypted, and no passphrase was given;
 * - `wrong-passphrase`: the given passphrase does not decrypt them.
 */
export type KeyProblemReason = 'not-a-key' | 'unsupported' | 'passphrase-needed' | 'wrong-passphrase';

/** Bytes are no key that can be used. The message is the end of a sentence that begins with where they came from. */
export class KeyProblem extends Error {
  override readonly name = 'KeyProblem';
  readonly reason: KeyProblemReason;

  constructor(reason: KeyProblemReason, message: string) {
    super(message);
    this.reason = reason;
  }
}
