import type { CkptfsError } from '../../base/errors.ts';

/** What an error says of a key that opened the image before. */
export interface Judgement {
  readonly verdict: 'revoked' | 'unreachable';
  /** See `LeaseAnswer`. */
  readonly isLast?: boolean;
}

/** A key that was taken away: a file that is gone, a key in a keyring that is. */
const TAKEN_AWAY: readonly (string | undefined)[] = ['missing', 'absent', 'expired', 'revoked'];
const NO_MORE: readonly (string | undefined)[] = ['denied', 'revoked', 'absent'];
const BY_PIN: readonly (string | undefined)[] = ['wrong-pin', 'pin-locked'];

/**
 * Tells a key that may not be used any more from one of which it is not known. What anyone on the way to a
 * server can bring about is never a revocation.
 */
export function judged(error: CkptfsError): Judgement {
  switch (error.code) {
    case 'key-unavailable':
      if (BY_PIN.includes(error.data?.reason)) return { verdict: 'revoked', isLast: true };
      return { verdict: NO_MORE.includes(error.data?.reason) ? 'revoked' : 'unreachable' };
    case 'bad-key-file':
      return { verdict: TAKEN_AWAY.includes(error.data?.reason) ? 'revoked' : 'unreachable' };
    case 'not-an-image':
      // An attacker who has the storage can write this, and locks the mount by it, as by taking the slots away.
      return { verdict: error.data?.reason === 'shredded' ? 'revoked' : 'unreachable' };
    case 'wrong-key':
    case 'no-key':
    case 'forbidden-by-policy':
      return { verdict: 'revoked' };
    default:
      return { verdict: 'unreachable' };
  }
}
