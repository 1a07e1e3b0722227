import type { PrivateKey } from '../../crypto/private-key.ts';
import { readPrivateKey } from '../../crypto/private-key-file.ts';
import type { PublicJwk } from '../../crypto/public-key.ts';
import type { Secret } from '../../crypto/secret.ts';
import { isAgeIdentityFile, readAgeIdentities } from '../age/identity-file.ts';
import { isOpenSshPrivateKey, openOpenSshKey, publicKeyOfOpenSsh, readOpenSshKey } from '../ssh/private-key.ts';

/**
 * Makes keys of the contents of a file that no passphrase protects: a private key in the format of OpenSSH, identities
 * of age, or a form of {@link readPrivateKey}. Only a file of age has several. The caller disposes of them.
 * @param contents off the heap; the caller wipes them
 * @throws KeyProblem also `passphrase-needed`
 */
export function readPrivateKeys(contents: Buffer): PrivateKey[] {
  if (isOpenSshPrivateKey(contents)) return [readOpenSshKey(contents)];
  return isAgeIdentityFile(contents) ? readAgeIdentities(contents) : [readPrivateKey(contents)];
}

/**
 * Like {@link readPrivateKeys}, for a file that a passphrase may protect.
 * @throws KeyProblem also `wrong-passphrase`
 */
export async function openPrivateKeys(contents: Buffer, passphrase: Secret | undefined): Promise<PrivateKey[]> {
  if (passphrase === undefined) return readPrivateKeys(contents);
  if (isOpenSshPrivateKey(contents)) return [await openOpenSshKey(contents, passphrase)];
  return isAgeIdentityFile(contents) ? readAgeIdentities(contents) : [readPrivateKey(contents, passphrase)];
}

/** Returns the public key that a file shows though a passphrase protects it; undefined when it shows none. */
export function shownPublicKey(contents: Buffer): PublicJwk | undefined {
  return isOpenSshPrivateKey(contents) ? publicKeyOfOpenSsh(contents) : undefined;
}
