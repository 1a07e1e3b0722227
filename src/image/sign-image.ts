import type { Secret } from '../crypto/secret.ts';
import type { Signer } from '../crypto/signer.ts';
import type { Header } from '../format/header.ts';
import { encodeStatement } from '../format/signatures.ts';
import type { WritableStore } from '../stores/writable-store.ts';
import { openImage } from './read/image.ts';
import { signaturesFile, statementOf } from './signatures/sign.ts';
import { readSignatures } from './signatures/stored-signatures.ts';

/**
 * Adds signatures to a sealed image, once header and manifest are authenticated. Those of others stay if they are of
 * this seal. The caller keeps writers and other signers out.
 * @throws CkptfsError `bad-argument`, `damaged`, `io`
 */
export function signSealed(
  store: WritableStore,
  header: Header,
  imageKey: Secret,
  signers: readonly Signer[],
): { readonly epoch: number } {
  const { manifest, manifestDigest } = openImage(store, header, imageKey);
  const statement = statementOf(header, manifest.epoch, { digest: manifestDigest });
  const stored = readSignatures(store);
  const isOfThisSeal = stored.kind === 'found' && encodeStatement(stored.statement).equals(encodeStatement(statement));
  store.publish('signatures', signaturesFile(statement, signers, isOfThisSeal ? stored.signatures : []));
  return { epoch: manifest.epoch };
}
