import type { Signer } from '../../crypto/signer.ts';
import type { LastingHeader } from '../../format/header.ts';
import type { WritableStore } from '../../stores/writable-store.ts';
import { signaturesFile, statementOf } from './sign.ts';

/**
 * Puts a manifest in place, which seals the image. Its signatures come before it: a crash between the two leaves an
 * image that is not sealed, and never a sealed one with the signatures of another seal (format.md §9).
 * @param file the bytes of the manifest
 * @param signers none: the image is not signed
 * @throws CkptfsError `bad-argument`, `io`
 */
export function publishManifest(
  store: WritableStore,
  header: LastingHeader,
  epoch: number,
  file: Uint8Array,
  signers: readonly Signer[] = [],
): void {
  if (signers.length === 0) store.removeSignatures();
  else store.publish('signatures', signaturesFile(statementOf(header, epoch, { bytes: file }), signers));
  store.publish('manifest', file);
}
