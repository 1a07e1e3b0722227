import { CkptfsError } from '../../base/errors.ts';
import { checkRecipient } from '../../keys/recipients/check-recipient.ts';
import type { CheckedRecipient } from '../../keys/recipients/pem.ts';
import { omitUndefined } from '../omit-undefined.ts';
import { type DemandedChecks, forbidden } from './enforcement.ts';

/**
 * Checks the certificate of a recipient as a policy demands, whatever else it was checked for.
 * @throws CkptfsError `forbidden-by-policy` for a public key without a certificate where an authority is demanded;
 *   `untrusted`, `io`
 */
export async function checkByPolicy(
  recipient: CheckedRecipient,
  { path, checks: { caFile, crlFile, ocsp } }: DemandedChecks,
): Promise<void> {
  if (caFile === undefined) return;
  try {
    const verdict = await checkRecipient(recipient, omitUndefined({ caFiles: caFile, crlFiles: crlFile, ocsp }));
    if (verdict !== undefined) return;
  } catch (error) {
    if (!(error instanceof CkptfsError)) throw error;
    throw error.reworded(`${error.message}, as policy ${path} demands`);
  }
  throw forbidden(path, 'recipient', `${recipient.source}, which has no certificate`);
}
