import type { ErrorData } from '../../base/error-data.ts';
import { CkptfsError } from '../../base/errors.ts';
import { printable } from '../../base/printable.ts';
import { verifySignature } from '../../crypto/public-key.ts';
import type { SignerTrust } from '../../crypto/signer.ts';
import type { Header } from '../../format/header.ts';
import { MAX_MANIFEST_SIZE } from '../../format/manifest-envelope.ts';
import { encodeStatement, type JwsSignature, type SignatureStatement, signingInput } from '../../format/signatures.ts';
import type { Store } from '../../stores/store.ts';
import { readProtectedHeader } from './protected-header.ts';
import { sha256, statementOf } from './sign.ts';
import { instant, readSignatures } from './stored-signatures.ts';

/** A signature that is accepted. */
export interface AcceptedSignature {
  /** 32 hexadecimal digits. */
  readonly imageId: string;
  /** The number of the seal, as the signer states it. */
  readonly epoch: number;
  /** The ids of the images that it takes the place of, the newest first; 32 hexadecimal digits each. */
  readonly replaces: readonly string[];
  /** SHA-256 of the file `manifest`: whatever is read of the image later must have it. */
  readonly manifestDigest: Uint8Array;
  /** The thumbprint of the key of the signer. */
  readonly signer: string;
  /** Where the signer is known from, or whose certificate it has. */
  readonly title: string;
  readonly algorithm: string;
  /** When it was made, by ISO 8601, as the signer states it. */
  readonly signedAt: string;
}

/**
 * Verifies that a sealed image is signed by someone who is trusted. It needs no key of the image: what the statement
 * says of header and manifest is compared with the files. The caller makes sure that the manifest that is read later
 * has the digest of the result.
 * @param header of the same store, not authenticated
 * @throws CkptfsError `untrusted` (`unsigned`, `altered`, `foreign`, or what is wrong with a certificate), `damaged`,
 *   `io`
 */
export async function checkSignatures(store: Store, header: Header, trust: SignerTrust): Promise<AcceptedSignature> {
  const { location } = store;
  const refuse = (reason: RefusalReason, problem: string) => refused(location, reason, problem);
  const stored = readSignatures(store);
  if (stored.kind === 'none') throw refuse('unsigned', 'is not signed');
  if (stored.kind === 'damaged') throw refuse('altered', `has signatures that cannot be read: ${stored.problem}`);
  const { statement, signatures } = stored;
  if (!statement.imageId.equals(header.imageId)) {
    throw refuse('foreign', `has the signatures of another image, ${statement.imageId.toString('hex')}`);
  }
  const manifest = store.readNamed('manifest', MAX_MANIFEST_SIZE);
  if (manifest === undefined)
    throw new CkptfsError('damaged', `${location} has no manifest any more`, { path: location });
  const expected = statementOf(header, statement.epoch, { bytes: manifest });
  if (!encodeStatement(expected).equals(encodeStatement(statement))) {
    const part = expected.headerDigest.equals(statement.headerDigest) ? 'manifest' : 'header';
    throw refuse('altered', `is not what was signed: its ${part} is another`);
  }
  const accepted = await firstAccepted(location, signatures, expected, trust);
  return {
    imageId: header.imageId.toString('hex'),
    epoch: statement.epoch,
    replaces: (header.replaces ?? []).map((id) => id.toString('hex')),
    manifestDigest: Uint8Array.from(sha256(manifest)),
    ...accepted,
  };
}

type RefusalReason = Extract<
  ErrorData<'untrusted'>['reason'],
  'unsigned' | 'altered' | 'foreign' | 'too-old' | 'replaced'
>;

/** Makes the error about an image whose signatures are not accepted. @param problem the rest of the sentence */
export function refused(location: string, reason: RefusalReason, problem: string): CkptfsError<'untrusted'> {
  return new CkptfsError('untrusted', `${location} ${problem}`, { path: location, data: { reason } });
}

async function firstAccepted(
  location: string,
  signatures: readonly JwsSignature[],
  statement: SignatureStatement,
  trust: SignerTrust,
): Promise<Pick<AcceptedSignature, 'signer' | 'title' | 'algorithm' | 'signedAt'>> {
  const problems: CkptfsError<'untrusted'>[] = [];
  const strangers = new Set<string>();
  for (const { protected: text, signature } of signatures) {
    const parameters = readProtectedHeader(text);
    if (parameters === undefined) continue;
    const { algorithm, keyId, issuedAt, certificates } = parameters;
    const signer = trust.find(keyId, certificates);
    if (signer === undefined) {
      strangers.add(keyId);
      continue;
    }
    const value = Buffer.from(signature, 'base64url');
    if (!verifySignature(signer.key, algorithm, signingInput(text, statement), value)) {
      problems.push(refused(location, 'altered', `has a signature that is not of ${printable(signer.title)}`));
      continue;
    }
    try {
      await signer.check();
      return { signer: keyId, title: signer.title, algorithm, signedAt: instant(issuedAt) };
    } catch (error) {
      if (!(error instanceof CkptfsError) || error.code !== 'untrusted') throw error;
      problems.push(error as CkptfsError<'untrusted'>);
    }
  }
  const [first] = problems;
  if (first !== undefined) throw first;
  const who = [...strangers].join(', ');
  throw refused(location, 'foreign', `is signed by no one who is trusted${who === '' ? '' : `, but by ${who}`}`);
}
