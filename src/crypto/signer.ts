import type { PublicJwk, SignatureAlgorithm } from './public-key.ts';

/** Signs images with a private key. */
export interface Signer {
  /** For messages. */
  readonly source: string;
  readonly publicJwk: PublicJwk;
  /** In DER: that of the key first, then those of its issuers, at most 8; empty for a key without a certificate. */
  readonly certificates: readonly Buffer[];
  /** Signs in the form that JOSE has. */
  sign(algorithm: SignatureAlgorithm, data: Uint8Array): Buffer;
}

/** Whose signatures are accepted. */
export interface SignerTrust {
  /**
   * Returns the signer whose key has this thumbprint: one that is trusted by its key, or one whose certificate may be
   * trusted. Returns undefined for anyone else.
   * @param certificates that came with the signature, in DER, of unknown origin
   */
  find(keyId: string, certificates: readonly Buffer[]): PossibleSigner | undefined;
}

/** A signer whose signature is still to be verified. */
export interface PossibleSigner {
  readonly key: PublicJwk;
  /** Where it is known from, or whose certificate it is. */
  readonly title: string;
  /** Checks its certificate, if it has one, once the signature was verified. @throws CkptfsError `untrusted`, `io` */
  check(): Promise<void>;
}

/** Returns the algorithm that a key signs images with; undefined for a key that does not (format.md §9). */
export function signatureAlgorithmOf(jwk: PublicJwk): SignatureAlgorithm | undefined {
  if (jwk.kty === 'RSA') return 'PS256';
  switch (jwk.crv) {
    case 'Ed25519':
      return 'EdDSA';
    case 'P-256':
      return 'ES256';
    case 'P-384':
      return 'ES384';
    default:
      return undefined;
  }
}
