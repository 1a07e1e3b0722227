import { Deadline } from '../../base/deadline.ts';
import { CkptfsError } from '../../base/errors.ts';
import type { Certificate } from '../../crypto/certificate.ts';
import { TrustStore } from '../../crypto/certificate-chain.ts';
import { disposeAll, MAX_CHAIN_LENGTH, parseChain } from '../../crypto/certificate-pem.ts';
import { isOverridable } from '../../crypto/certificate-problem.ts';
import type { CertificateChecks, CertificatePurpose } from './certificate-checks.ts';
import { readAuthorities, readRevocationLists } from './certificate-files.ts';
import { checkChain } from './check-chain.ts';
import { checkByResponders } from './check-ocsp.ts';
import { checkRevocation } from './check-revocation.ts';
import { checkOneself } from './check-self.ts';
import { isResponderUrl } from './ocsp-responder.ts';

const OCSP_MILLISECONDS = 10_000;

type Finding = CkptfsError<'untrusted'>;

/** What was checked of a certificate that is accepted. */
export interface CertificateVerdict {
  /** Whether it was issued by, or is, one that is trusted. False when no trusted ones were named. */
  readonly isTrusted: boolean;
  /** Whether its issuers were asked if it is revoked. */
  readonly isRevocationChecked: boolean;
  /** What would have been errors, but was overridden by `force`. */
  readonly overridden: readonly Finding[];
}

/**
 * Checks whether a certificate may be used now.
 * @param chain certificates of its issuers that came with it, which are not trusted
 * @throws CkptfsError `untrusted` with what is wrong, first of all with what cannot be overridden; `io` for files of
 * `checks`; `bad-argument` for checks that contradict one another
 */
export async function checkCertificate(
  certificate: Certificate,
  chain: readonly Certificate[],
  purpose: CertificatePurpose,
  checks: CertificateChecks = {},
): Promise<CertificateVerdict> {
  requireSense(checks, chain);
  const { at = new Date(), ocsp = 'off' } = checks;
  const findings = checkOneself(certificate, purpose, at);
  const authorities = readAuthorities(checks.caFiles ?? []);
  const lists: { dispose(): void }[] = [];
  try {
    if (authorities.length === 0) return judged(findings, checks, false, false);
    const crls = readRevocationLists(checks.crlFiles ?? []);
    lists.push(...crls);
    const store = new TrustStore(authorities, crls);
    lists.unshift(store);
    const found = checkChain(certificate, chain, store, at);
    findings.push(...found.findings);
    if (found.path === undefined) return judged(findings, checks, false, false);
    const asked: Finding[] = [];
    if (crls.length > 0) asked.push(...checkRevocation(found.path, chain, store, at));
    // What is refused in any case is not a reason to ask, and to wait.
    judged([...findings, ...asked], checks, true, false);
    if (ocsp !== 'off') {
      const deadline = Deadline.after(checks.ocspMilliseconds ?? OCSP_MILLISECONDS);
      const options = { choice: ocsp, at, deadline, authorities };
      asked.push(...(await checkByResponders(found.path, store, options)));
    }
    const hasIssuer = found.path.length > 1;
    const isAsked = hasIssuer && (crls.length > 0 || ocsp !== 'off');
    return judged([...findings, ...asked], checks, true, isAsked && asked.length === 0);
  } finally {
    disposeAll(lists);
    disposeAll(authorities);
  }
}

/**
 * Like {@link checkCertificate}, for certificates in DER as a file or the `x5c` of a signature has them.
 * @param chain the certificate first, at most 8
 * @param source for messages
 */
export async function checkCertificateChain(
  chain: readonly Uint8Array[],
  source: string,
  purpose: CertificatePurpose,
  checks: CertificateChecks = {},
): Promise<CertificateVerdict> {
  const parsed = parseChain(chain, source);
  try {
    const [certificate, ...others] = parsed;
    if (certificate === undefined) throw new CkptfsError('internal', 'a chain was parsed to nothing');
    return await checkCertificate(certificate, others, purpose, checks);
  } finally {
    disposeAll(parsed);
  }
}

function requireSense(
  { caFiles = [], crlFiles = [], ocsp = 'off' }: CertificateChecks,
  chain: readonly Certificate[],
): void {
  if (chain.length >= MAX_CHAIN_LENGTH) throw new CkptfsError('bad-argument', 'the chain of certificates is too long');
  if (ocsp !== 'off' && ocsp !== 'auto' && !isResponderUrl(ocsp)) {
    throw new CkptfsError('bad-argument', `${ocsp} is no address of an OCSP responder: http://… or https://…`);
  }
  if (caFiles.length === 0 && (crlFiles.length > 0 || ocsp !== 'off')) {
    throw new CkptfsError('bad-argument', 'revocation can be checked only with the certificates that are trusted');
  }
}

function judged(
  findings: readonly Finding[],
  { force = false }: CertificateChecks,
  isTrusted: boolean,
  isRevocationChecked: boolean,
): CertificateVerdict {
  const [first] = [...findings.filter((finding) => !isOverridable(finding)), ...findings];
  if (first !== undefined && !(force && isOverridable(first))) throw first;
  return { isTrusted, isRevocationChecked, overridden: findings };
}
