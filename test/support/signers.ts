import { constants, generateKeyPairSync, type KeyObject, sign as nodeSign } from 'node:crypto';
import type { PublicJwk, SignatureAlgorithm } from '../../src/crypto/public-key.ts';
import { publicJwkOf, thumbprint } from '../../src/crypto/public-key.ts';
import type { Signer, SignerTrust } from '../../src/crypto/signer.ts';

/** A signer whose signatures node:crypto makes. */
export interface TestSigner extends Signer {
  readonly keyId: string;
  readonly privateKey: KeyObject;
}

export type SignerKind = 'ed25519' | 'P-256' | 'P-384' | 'rsa';

export function testSigner(kind: SignerKind = 'ed25519', certificates: readonly Buffer[] = []): TestSigner {
  const { privateKey, publicKey } = pairOf(kind);
  const publicJwk = publicJwkOf(publicKey);
  return {
    source: `signer ${kind}`,
    publicJwk,
    keyId: thumbprint(publicJwk),
    certificates,
    privateKey,
    sign: (algorithm, data) => signAs(algorithm, data, privateKey),
  };
}

export function signAs(algorithm: SignatureAlgorithm, data: Uint8Array, key: KeyObject): Buffer {
  if (algorithm === 'EdDSA') return nodeSign(null, data, key);
  const hash = algorithm === 'ES384' ? 'sha384' : 'sha256';
  if (algorithm !== 'PS256') return nodeSign(hash, data, { key, dsaEncoding: 'ieee-p1363' });
  return nodeSign(hash, data, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 });
}

/** Trusts these signers by their keys. */
export function trustIn(...signers: readonly { readonly publicJwk: PublicJwk }[]): SignerTrust {
  return {
    find: (keyId) => {
      const found = signers.find(({ publicJwk }) => thumbprint(publicJwk) === keyId);
      return found && { key: found.publicJwk, title: 'a test', check: async () => undefined };
    },
  };
}

function pairOf(kind: SignerKind): { readonly privateKey: KeyObject; readonly publicKey: KeyObject } {
  if (kind === 'ed25519') return generateKeyPairSync('ed25519');
  if (kind === 'rsa') return generateKeyPairSync('rsa', { modulusLength: 2048 });
  return generateKeyPairSync('ec', { namedCurve: kind });
}
