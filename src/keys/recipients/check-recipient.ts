import { Certificate } from '../../crypto/certificate.ts';
import { disposeAll } from '../../crypto/certificate-pem.ts';
import type { CertificateChecks } from '../certificates/certificate-checks.ts';
import { type CertificateVerdict, checkCertificate } from '../certificates/check-certificate.ts';
import type { CheckedRecipient } from './pem.ts';

/**
 * Checks the certificate of a recipient. Returns undefined for a bare public key, of which nothing can be checked.
 * @throws CkptfsError `untrusted`, `io`, `bad-argument`, like {@link checkCertificate}
 */
export async function checkRecipient(
  { source, certificates }: CheckedRecipient,
  checks: CertificateChecks,
): Promise<CertificateVerdict | undefined> {
  const parsed: Certificate[] = [];
  try {
    for (const der of certificates) parsed.push(new Certificate(der, source));
    const [certificate, ...chain] = parsed;
    return certificate && (await checkCertificate(certificate, chain, 'recipient', checks));
  } finally {
    disposeAll(parsed);
  }
}
