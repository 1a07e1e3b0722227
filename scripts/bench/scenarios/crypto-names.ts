/** The two implementations of src/crypto, as tables call them. */
export const implementationNames = {
  openssl: 'ckptfs, OpenSSL through koffi',
  node: 'ckptfs, node:crypto',
} as const;
export type Implementation = keyof typeof implementationNames;

export const fastImplementation = implementationNames.openssl;
export const opensslSpeed = 'openssl speed';
