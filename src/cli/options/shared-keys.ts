import { Deadline } from '../../base/deadline.ts';
import type { Secret } from '../../crypto/secret.ts';
import type { ShareKey } from '../../library/unlock.ts';
import { keyMark } from '../../serve/leases/key-mark.ts';
import { SharedKey } from '../../serve/leases/shared-key.ts';
import { type LeaseTerms, sharedName } from '../../serve/leases/terms.ts';

/** Lets the mounts of a user that open an image the same way ask for its key once in the time of a lease. */
export function sharedFor({ seconds, check }: LeaseTerms): ShareKey | undefined {
  if (seconds === undefined || !check.shared) return undefined;
  return (imageId, isRight, open) => {
    const markOf = (imageKey: Secret): string => keyMark(imageKey, imageId);
    // The process that asks may wait as long for the source, and starts when this host lets it.
    const deadline = Deadline.after(2000 * check.timeoutSeconds);
    return new SharedKey(sharedName(imageId, check)).fetch({ seconds, isRight, markOf, open, deadline });
  };
}
