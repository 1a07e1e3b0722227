import type { CkptfsError } from '../../base/errors.ts';
import type { Certificate } from '../../crypto/certificate.ts';
import { type ChainResult, type TrustStore, VERIFY_ERRORS } from '../../crypto/certificate-chain.ts';
import { type UntrustedReason, untrusted } from '../../crypto/certificate-problem.ts';
import { checkDates } from './check-self.ts';

type Finding = CkptfsError<'untrusted'>;

const REASONS = new Map<number, UntrustedReason>([
  [VERIFY_ERRORS.noIssuer, 'unknown-issuer'],
  [VERIFY_ERRORS.selfSigned, 'unknown-issuer'],
  [VERIFY_ERRORS.selfSignedInChain, 'unknown-issuer'],
  [VERIFY_ERRORS.noLocalIssuer, 'unknown-issuer'],
  [VERIFY_ERRORS.leafNotVerified, 'unknown-issuer'],
  [VERIFY_ERRORS.untrusted, 'unknown-issuer'],
  [VERIFY_ERRORS.leafKeyTooSmall, 'weak'],
  [VERIFY_ERRORS.keyTooSmall, 'weak'],
  [VERIFY_ERRORS.weakDigest, 'weak'],
]);

/** What was found on the way from a certificate to a trusted one. */
export interface FoundChain {
  /** The certificate first, a trusted one last; undefined when there is no such way. */
  readonly path: readonly Certificate[] | undefined;
  readonly findings: readonly Finding[];
}

/** Looks for the way from a certificate to a trusted one. What its own dates say is left to `checkOneself`. */
export function checkChain(
  certificate: Certificate,
  others: readonly Certificate[],
  store: TrustStore,
  at: Date,
): FoundChain {
  const timed = store.verify(certificate, others, { at });
  const isUntimely = timed.error === VERIFY_ERRORS.expired || timed.error === VERIFY_ERRORS.notYetValid;
  // One that has expired may be accepted knowingly. Then the rest must hold all the same.
  const result = isUntimely ? store.verify(certificate, others, {}) : timed;
  if (result.error !== 0) return { path: undefined, findings: [chainFinding(certificate, result)] };
  const issuers = result.chain.slice(1);
  const untimely = isUntimely ? issuers.flatMap((issuer) => checkDates(issuer, certificate, at)) : [];
  // OpenSSL takes certificates of versions before 3, and of Netscape's extension, for authorities too.
  const impostor = issuers.slice(0, -1).find((issuer) => !issuer.isAuthority);
  if (impostor === undefined) return { path: result.chain, findings: untimely };
  const problem = `${certificate.title} is signed by ${impostor.title}, which is not of an authority`;
  const finding = untrusted(certificate.source, 'invalid-chain', problem, { subject: certificate.subject });
  return { path: undefined, findings: [finding] };
}

function chainFinding(certificate: Certificate, { error, text, culprit = certificate }: ChainResult): Finding {
  const { source, title, subject } = certificate;
  const reason = REASONS.get(error) ?? 'invalid-chain';
  if (reason === 'unknown-issuer') {
    const isSelfSigned = error === VERIFY_ERRORS.selfSigned || error === VERIFY_ERRORS.selfSignedInChain;
    const last = isSelfSigned ? culprit.subject : culprit.issuer;
    const problem = isSelfSigned && culprit === certificate ? 'is signed by itself and' : `leads to ${last}, which`;
    return untrusted(source, reason, `${title} ${problem} is not among the trusted ones`, { subject });
  }
  const which = culprit === certificate ? '' : `, ${culprit.subject}`;
  const problem = reason === 'weak' ? 'is too weakly signed, or has an issuer with a short key' : 'has no valid chain';
  return untrusted(source, reason, `${title} ${problem} (${text}${which})`, { subject });
}
