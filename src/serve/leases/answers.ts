import { isPlainError, type PlainError } from '../../base/errors.ts';

/**
 * What was heard of a key:
 * - `allowed`: it opens the image still.
 * - `revoked`: it may not be used any more: revoked, destroyed, denied, absent, or it opens no slot of the image now.
 * - `unreachable`: no answer came.
 */
export interface LeaseAnswer {
  readonly verdict: 'allowed' | 'revoked' | 'unreachable';
  /** When it was asked for, in seconds since the host was started. */
  readonly at: number;
  /** For how long the service lets the key be used from then on, if it says so. */
  readonly leaseSeconds?: number | undefined;
  /** Why it is not `allowed`. */
  readonly error?: PlainError | undefined;
  /** Whether another process of this host had asked. */
  readonly isShared?: boolean | undefined;
  /** Never ask again: each question might use up a try of a PIN. */
  readonly isLast?: boolean | undefined;
}

/** Returns whether a value from another process, or from a file, has the shape of an answer. */
export function isLeaseAnswer(value: unknown): value is LeaseAnswer {
  if (typeof value !== 'object' || value === null) return false;
  const { verdict, at, leaseSeconds, error, isLast }: Partial<Record<keyof LeaseAnswer, unknown>> = value;
  return (
    (verdict === 'allowed' || ((verdict === 'revoked' || verdict === 'unreachable') && isPlainError(error))) &&
    Number.isFinite(at) &&
    (leaseSeconds === undefined || (Number.isFinite(leaseSeconds) && Number(leaseSeconds) > 0)) &&
    (isLast === undefined || typeof isLast === 'boolean')
  );
}
