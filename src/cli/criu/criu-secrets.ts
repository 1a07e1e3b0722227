import { printable } from '../../base/printable.ts';
import type { Secret } from '../../crypto/secret.ts';
import { unsigned } from '../../library/open-readable.ts';
import type { CriuConfig } from '../../serve/handover/daemon-config.ts';
import type { LeaseTerms } from '../../serve/leases/terms.ts';
import { shellWord } from '../hints.ts';
import type { KeyOrigin } from '../options/held-keys.ts';
import { privateKeysOf, warnAbout, withKeys } from '../options/image-arguments.ts';
import type { ImageArguments } from '../options/image-options.ts';
import { signatureDemand } from '../options/signature-options.ts';
import { warn } from '../terminal/output.ts';
import { warnUnchecked } from './warn-unchecked.ts';

/** A directory that CRIU encrypted, opened to be mounted. */
export interface UnlockedCriu {
  readonly criu: CriuConfig;
  readonly secrets: Secret;
  readonly origin: () => KeyOrigin;
}

/**
 * Opens a directory that CRIU encrypted with the private keys that the arguments name, does the work, and wipes its
 * secrets.
 * @param verify everything in it is read and checked before
 * @param lease no user is asked for what opens it
 * @throws what opening and `work` throw; CkptfsError `untrusted` where a signature is demanded, `damaged`
 */
export async function withCriuSecrets<T>(
  args: ImageArguments,
  verify: boolean,
  work: (unlocked: UnlockedCriu) => Promise<T>,
  lease?: LeaseTerms,
): Promise<T> {
  return withKeys({ ...args, asksNobody: lease?.seconds !== undefined }, async (keys) => {
    if ((await signatureDemand(args)) !== undefined) throw unsigned(args.ENC);
    const { unlockToServe } = await import('../../library/criu-directory.ts');
    const { imageId, secrets, pages } = await unlockToServe(args.ENC, {
      ...privateKeysOf(keys),
      imageId: args.imageId,
      verify,
    });
    try {
      await warnAbout(keys, args);
      if (args.quiet !== true) {
        await warn(weaknessLine(args.ENC));
        await warnUnchecked(args.ENC, pages);
      }
      return await work({ criu: { imageId, secretsSize: secrets.length }, secrets, origin: () => keys.origin });
    } finally {
      secrets.wipe();
    }
  });
}

/** Says what this encryption does not protect, and what to do about it. */
function weaknessLine(location: string): string {
  return (
    `${printable(location)} is encrypted by CRIU itself: equal memory pages show, nothing binds data to its file or ` +
    'place, and anyone who has the certificate can make such a directory. ' +
    `Move it with "ckptfs encrypt --from ${shellWord(location)} NEW".`
  );
}
