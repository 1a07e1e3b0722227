import type { CkptfsError } from '../../base/errors.ts';
import type { Certificate } from '../../crypto/certificate.ts';
import { type ChainResult, type TrustStore, VERIFY_ERRORS } from '../../crypto/certificate-chain.ts';
import { untrusted } from '../../crypto/certificate-problem.ts';
import type { Revocation } from '../../crypto/certificate-revocation-list.ts';
import { isoText } from '../../crypto/openssl-values.ts';

type Finding = CkptfsError<'untrusted'>;

/** What is not said of the list itself: the certificate and its issuers have been checked before. */
const NOT_OF_THE_LIST: ReadonlySet<number> = new Set([0, VERIFY_ERRORS.expired, VERIFY_ERRORS.notYetValid]);

/**
 * Looks for the certificates of a chain, but the trusted one at its end, on the lists of their issuers.
 * @param path the certificate first, the trusted one last
 */
export function checkRevocation(
  path: readonly Certificate[],
  others: readonly Certificate[],
  store: TrustStore,
  at: Date,
): Finding[] {
  const [first] = path;
  if (first === undefined) return [];
  if (path.length === 1) return issuerUnknown(first);
  return path.slice(0, -1).flatMap((certificate) => {
    const result = store.verify(certificate, [...others, ...path], { at, revocation: true });
    return NOT_OF_THE_LIST.has(result.error) ? [] : [findingOf(first, certificate, result)];
  });
}

/**
 * Returns a finding about a certificate that is trusted by itself and whose issuer is not known, so that the issuer's
 * word about it is not either. One that is signed by itself has no such issuer.
 */
export function issuerUnknown(certificate: Certificate): Finding[] {
  const { source, title, subject, issuer } = certificate;
  if (certificate.isNamedAsIssuedBy(certificate)) return [];
  const problem = `whether ${title} is revoked cannot be told: its issuer ${issuer} is not among the trusted ones`;
  return [untrusted(source, 'revocation-unknown', problem, { subject })];
}

/** @param about the certificate that is checked @param culprit the one of its chain that is revoked */
export function revoked(about: Certificate, culprit: Certificate, { since, reason }: Revocation): Finding {
  const { source, title, subject } = about;
  const who =
    culprit === about ? `${title} was revoked` : `${title} is of an issuer, ${culprit.subject}, who was revoked`;
  const when = since === undefined ? '' : ` at ${isoText(since)}`;
  const why = reason === undefined ? '' : ` (${reason})`;
  const facts = since === undefined ? { subject } : { subject, since: isoText(since) };
  return untrusted(source, 'revoked', `${who}${when}${why}`, facts);
}

function findingOf(about: Certificate, culprit: Certificate, { error, text, list }: ChainResult): Finding {
  if (error === VERIFY_ERRORS.revoked) {
    return revoked(about, culprit, list?.revocationOf(culprit) ?? { since: undefined, reason: undefined });
  }
  const why =
    error === VERIFY_ERRORS.noCrl
      ? `there is no list of ${culprit.issuer}`
      : error === VERIFY_ERRORS.crlExpired
        ? `the list of ${culprit.issuer} expired${list === undefined ? '' : ` at ${isoText(list.nextUpdate)}`}`
        : `the list of ${culprit.issuer} does not count (${text})`;
  const problem = `whether ${culprit.title} is revoked cannot be told: ${why}`;
  return untrusted(about.source, 'revocation-unknown', problem, { subject: about.subject });
}
