import type { SignerTrust } from '../../crypto/signer.ts';
import { readTrustedSigners } from '../../keys/signers/trusted-signers.ts';
import type { SignatureDemand } from '../../library/signatures.ts';
import { omitUndefined } from '../omit-undefined.ts';
import type { Policy } from './policy.ts';

/** What a user may demand besides the policies, even without signers of their own. */
interface OwnDemands {
  readonly minEpoch?: number | undefined;
  readonly epochFile?: string | undefined;
  readonly crlFile?: readonly string[] | undefined;
  readonly ocsp?: string | undefined;
}

/**
 * Joins the demands of policies and of a user: a signature counts when each of them accepts its signer.
 * @param policies those that require a signature
 * @param own what the user demands of signers
 * @throws what `readTrustedSigners` throws
 */
export function combinedDemand(
  policies: readonly Policy[],
  { minEpoch = 0, epochFile, crlFile, ocsp }: OwnDemands,
  own: SignatureDemand | undefined,
): SignatureDemand {
  const trusts = policies.map(({ rules: { trusted = [], crlFile: crlFiles, ocsp: asked } }) =>
    readTrustedSigners(trusted, omitUndefined({ crlFiles, ocsp: asked })),
  );
  if (own !== undefined) trusts.push(own.trust);
  else if (crlFile !== undefined || ocsp !== undefined) {
    const checks = omitUndefined({ crlFiles: crlFile, ocsp });
    for (const { rules } of policies) trusts.push(readTrustedSigners(rules.trusted ?? [], checks));
  }
  const epochs = policies.map(({ rules }) => rules.minEpoch ?? 0);
  return { trust: trustOfAll(trusts), minEpoch: Math.max(minEpoch, ...epochs), epochFile };
}

/** Returns a trust that accepts a signer only when every one of several does. */
export function trustOfAll(trusts: readonly SignerTrust[]): SignerTrust {
  return {
    find(keyId, certificates) {
      const found = trusts.map((trust) => trust.find(keyId, certificates));
      const [first] = found;
      if (first === undefined || found.includes(undefined)) return undefined;
      const check = async (): Promise<void> => {
        for (const signer of found) await signer?.check();
      };
      return { key: first.key, title: first.title, check };
    },
  };
}
