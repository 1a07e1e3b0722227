import type { CkptfsError } from '../../base/errors.ts';
import type { Certificate, KeyUsage } from '../../crypto/certificate.ts';
import { MIN_SECURITY_BITS } from '../../crypto/certificate-chain.ts';
import { untrusted } from '../../crypto/certificate-problem.ts';
import { KeyProblem } from '../../crypto/key-problem.ts';
import { isoText } from '../../crypto/openssl-values.ts';
import type { PublicJwk } from '../../crypto/public-key.ts';
import type { CertificatePurpose } from './certificate-checks.ts';

type Finding = CkptfsError<'untrusted'>;

/** Returns what is wrong with what a certificate says of itself: its key, its usage and its dates. */
export function checkOneself(certificate: Certificate, purpose: CertificatePurpose, at: Date): Finding[] {
  const { source, title, subject, keyUsage } = certificate;
  const refuse = (reason: 'weak' | 'unsupported-key' | 'wrong-usage', problem: string): Finding =>
    untrusted(source, reason, `${title} ${problem}`, { subject });
  const dates = checkDates(certificate, certificate, at);
  // Before the kind, so that a short RSA key is called weak.
  if ((certificate.securityBits ?? MIN_SECURITY_BITS) < MIN_SECURITY_BITS)
    return [refuse('weak', 'has a key that is too short')];
  const key = publicKeyOf(certificate);
  if (key instanceof KeyProblem) return [refuse('unsupported-key', `has a key that cannot be used: it ${key.message}`)];
  const needed = purpose === 'recipient' ? usageOfRecipient(key) : usageOfSigner(key);
  if (needed === undefined) {
    const use = purpose === 'recipient' ? 'encrypting' : 'signing images';
    return [refuse('unsupported-key', `has a key of a kind that is not for ${use}`)];
  }
  if (keyUsage === undefined || needed.some((usage) => keyUsage.has(usage))) return dates;
  const allowed = [...keyUsage].join(', ') || 'nothing';
  return [refuse('wrong-usage', `is not for ${needed.join(' or ')}; it is for ${allowed}`), ...dates];
}

/** Returns whether a certificate is not valid yet, or has expired. @param about the one that is checked with it */
export function checkDates(certificate: Certificate, about: Certificate, at: Date): Finding[] {
  const { notBefore, notAfter, subject, title } = certificate;
  const who = certificate === about ? title : `${about.title} is of an issuer whose certificate`;
  const which = certificate === about ? '' : ` (${subject})`;
  if (notAfter < at) {
    const since = isoText(notAfter);
    return [untrusted(about.source, 'expired', `${who}${which} expired at ${since}`, { subject, since })];
  }
  if (notBefore <= at) return [];
  const problem = `${who}${which} is not valid before ${isoText(notBefore)}`;
  return [untrusted(about.source, 'not-yet-valid', problem, { subject })];
}

function publicKeyOf(certificate: Certificate): PublicJwk | KeyProblem {
  try {
    return certificate.publicKey;
  } catch (error) {
    // Node cannot read the keys that it does not know.
    return error instanceof KeyProblem ? error : new KeyProblem('unsupported', 'is of a kind that is not used');
  }
}

/** Returns the usages of which one must be allowed; undefined for a key that nothing is encrypted for. */
function usageOfRecipient(key: PublicJwk): readonly KeyUsage[] | undefined {
  if (key.kty === 'RSA') return ['keyEncipherment'];
  return key.kty === 'OKP' && key.crv === 'Ed25519' ? undefined : ['keyAgreement'];
}

/** Returns the usages of which one must be allowed; undefined for a key that signs no images (format.md §9). */
function usageOfSigner(key: PublicJwk): readonly KeyUsage[] | undefined {
  const signs = key.kty === 'RSA' || key.crv === 'P-256' || key.crv === 'P-384' || key.crv === 'Ed25519';
  return signs ? ['digitalSignature', 'nonRepudiation'] : undefined;
}
