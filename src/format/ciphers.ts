/** The ciphers of an image and their codes on disk (format.md §7). */
export const cipherNames = ['none', 'aes-256-xts', 'aes-128-xts', 'chacha20-poly1305', 'aes-256-gcm'] as const;

/** The ciphers that encrypt and authenticate in one pass, with one key. */
export type AeadCipherName = 'chacha20-poly1305' | 'aes-256-gcm';

export type CipherName = (typeof cipherNames)[number];

export const DEFAULT_CIPHER: CipherName = 'aes-256-xts';

export function isCipherName(name: string): name is CipherName {
  return (cipherNames as readonly string[]).includes(name);
}

/** Returns the one-byte code of a cipher in object headers and in the manifest's additional data. */
export function cipherCode(cipher: CipherName): number {
  return cipherNames.indexOf(cipher);
}
