import type { ErrorData } from '../base/error-data.ts';
import { CkptfsError } from '../base/errors.ts';

export type UntrustedReason = ErrorData<'untrusted'>['reason'];

/**
 * Makes an error about a certificate that is not accepted.
 * @param source the file that it is from, or where else
 * @param problem the rest of the sentence
 */
export function untrusted(
  source: string,
  reason: UntrustedReason,
  problem: string,
  facts: { readonly subject?: string; readonly since?: string } = {},
): CkptfsError<'untrusted'> {
  return new CkptfsError('untrusted', `${source}: ${problem}`, { path: source, data: { reason, ...facts } });
}

const OVERRIDABLE: ReadonlySet<UntrustedReason> = new Set([
  'expired',
  'not-yet-valid',
  'wrong-usage',
  'unknown-issuer',
  'revoked',
  'revocation-unknown',
  'responder-unreachable',
]);

/**
 * Tells whether a user who knows better may accept the certificate all the same. What its owner or its issuer says
 * about it may be overridden, but not that there is no usable certificate, or no honest one.
 */
export function isOverridable(error: CkptfsError<'untrusted'>): boolean {
  return error.data !== undefined && OVERRIDABLE.has(error.data.reason);
}
