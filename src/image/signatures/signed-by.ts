import { CkptfsError } from '../../base/errors.ts';
import { thumbprint } from '../../crypto/public-key.ts';
import type { Signer } from '../../crypto/signer.ts';
import type { Header } from '../../format/header.ts';
import type { Store } from '../../stores/store.ts';
import { checkSignatures } from './check.ts';

/** Tells whether a sealed image has a signature of each of these signers, as it is now. @throws CkptfsError `io` */
export async function isSignedBy(store: Store, header: Header, signers: readonly Signer[]): Promise<boolean> {
  try {
    for (const signer of signers) await checkSignatures(store, header, trustIn(signer));
    return true;
  } catch (error) {
    if (error instanceof CkptfsError && ['untrusted', 'damaged'].includes(error.code)) return false;
    throw error;
  }
}

function trustIn({ source, publicJwk }: Signer) {
  const possible = { key: publicJwk, title: source, check: async (): Promise<void> => undefined };
  return { find: (keyId: string) => (keyId === thumbprint(publicJwk) ? possible : undefined) };
}
