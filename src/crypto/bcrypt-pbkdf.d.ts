/**
 * Declares the part of the npm package bcrypt-pbkdf 1.0.2 that ckptfs uses, from its index.js: it has no types of its
 * own.
 */
declare module 'bcrypt-pbkdf' {
  /** The hash of bcrypt_pbkdf(3). @param out gets 32 bytes */
  export function hash(passwordSha512: Uint8Array, saltSha512: Uint8Array, out: Uint8Array): void;
}
