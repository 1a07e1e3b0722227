import { createHash } from 'node:crypto';
import { CkptfsError } from '../../base/errors.ts';
import { thumbprint } from '../../crypto/public-key.ts';
import { type Signer, signatureAlgorithmOf } from '../../crypto/signer.ts';
import { type LastingHeader, signedHeaderBytes } from '../../format/header.ts';
import {
  encodeSignatures,
  type JwsSignature,
  MAX_SIGNATURES,
  MAX_SIGNATURES_SIZE,
  type SignatureStatement,
  signingInput,
} from '../../format/signatures.ts';
import { encodeProtectedHeader, readProtectedHeader } from './protected-header.ts';

/** Returns what a signature says of a seal. @param manifest the bytes of the file, or their SHA-256 */
export function statementOf(
  header: LastingHeader,
  epoch: number,
  manifest: { readonly bytes: Uint8Array } | { readonly digest: Uint8Array },
): SignatureStatement {
  return {
    imageId: header.imageId,
    epoch,
    headerDigest: sha256(signedHeaderBytes(header)),
    manifestDigest: 'bytes' in manifest ? sha256(manifest.bytes) : Buffer.from(manifest.digest),
  };
}

/**
 * Returns the bytes of the file `signatures` with the signatures of all signers.
 * @param kept signatures of the same statement, which come first; those of the signers themselves are replaced
 * @throws CkptfsError `bad-argument` for a key that signs no images, and for more signatures than there can be
 */
export function signaturesFile(
  statement: SignatureStatement,
  signers: readonly Signer[],
  kept: readonly JwsSignature[] = [],
  at: Date = new Date(),
): Buffer {
  const made = signers.map((signer) => signatureBy(signer, statement, at));
  const replaced = new Set(signers.map(({ publicJwk }) => thumbprint(publicJwk)));
  const others = kept.filter((one) => !replaced.has(readProtectedHeader(one.protected)?.keyId ?? ''));
  const signatures = [...others, ...made];
  const bytes = encodeSignatures({ statement, signatures });
  if (signatures.length <= MAX_SIGNATURES && bytes.length <= MAX_SIGNATURES_SIZE) return bytes;
  throw new CkptfsError(
    'bad-argument',
    `${signatures.length} signatures of ${bytes.length} bytes: an image has at most ${MAX_SIGNATURES}, of ` +
      `${MAX_SIGNATURES_SIZE} bytes`,
  );
}

function signatureBy(signer: Signer, statement: SignatureStatement, at: Date): JwsSignature {
  const algorithm = signatureAlgorithmOf(signer.publicJwk);
  if (algorithm === undefined) {
    throw new CkptfsError('bad-argument', `${signer.source} is a key of a kind that signs no images`);
  }
  const header = encodeProtectedHeader({
    algorithm,
    keyId: thumbprint(signer.publicJwk),
    issuedAt: Math.floor(at.getTime() / 1000),
    certificates: signer.certificates,
  });
  const value = signer.sign(algorithm, signingInput(header, statement));
  return { protected: header, signature: value.toString('base64url') };
}

/** Returns SHA-256 of bytes. */
export function sha256(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}
