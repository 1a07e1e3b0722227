import type { AeadCipherName, CipherName } from './ciphers.ts';

/** Every `info` string that is given to HKDF, in one place so that no string can have two meanings (format.md §3). */
export const keyLabels = {
  headerMac: 'ckptfs 1 header mac',
  manifest: 'ckptfs 1 manifest',
  manifestSeal: 'ckptfs 1 manifest seal',
  journal: 'ckptfs 1 journal',
  journalFrame: 'ckptfs 1 journal frame',
  reencryptedObject: 'ckptfs 1 reencrypted object',
  objectData: (cipher: Exclude<CipherName, 'none'>): string => `ckptfs 1 object ${cipher}`,
  objectMac: (cipher: Exclude<CipherName, AeadCipherName>): string => `ckptfs 1 object mac ${cipher}`,
} as const;
