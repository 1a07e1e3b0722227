import type { Signer } from '../../../crypto/signer.ts';
import type { Manifest } from '../../../format/manifest.ts';
import type { WritableStore } from '../../../stores/writable-store.ts';
import { manifestFile } from '../../create/manifest-file.ts';
import type { ImageContext } from '../../objects/image-context.ts';
import { publishManifest } from '../../signatures/publish-manifest.ts';
import { Coverage } from '../../verify/coverage.ts';
import type { FileChunks } from '../model/file-chunks.ts';
import type { LiveState } from '../model/live-tree.ts';
import type { HolePuncher } from '../objects/hole-puncher.ts';
import { removeUnnamed } from '../objects/unnamed-objects.ts';
import { manifestOf } from './live-manifest.ts';

/** What {@link sealState} works on. */
export interface SealParts {
  readonly image: ImageContext<WritableStore>;
  readonly state: LiveState;
  readonly chunks: FileChunks;
  readonly puncher: HolePuncher;
  /** Who signs the image; without any it is not signed. */
  readonly signers?: readonly Signer[];
}

/**
 * Puts the manifest of a state in place of the journal (W19). All objects that it names must be finished and durable.
 * @param objects ids of the objects that may be removed
 * @throws CkptfsError `io`, `unsupported-source`: the image is still unsealed. If the manifest is in place, sealing
 * again does the rest
 */
export function sealState(parts: SealParts, objects: readonly string[]): void {
  const { image, state, chunks, puncher, signers } = parts;
  const { store, header, imageKey } = image;
  const manifest = manifestOf(state, chunks);
  publishManifest(store, header, manifest.epoch, manifestFile(manifest, imageKey, header), signers);
  endSealing(image, manifest, objects, puncher);
}

/**
 * Does what remains when a manifest is in place and a journal of an older epoch is beside it (W19): removes the objects
 * that the manifest does not name, gives back the space of dead chunks, and removes the journal last.
 * @param objects ids of the objects that may be removed
 * @throws CkptfsError `io`: it has to be done again
 */
export function endSealing(
  image: ImageContext<WritableStore>,
  manifest: Manifest,
  objects: readonly string[],
  puncher: HolePuncher,
): void {
  const { store, geometry } = image;
  removeUnnamed(image, objects, manifest.objects, (line) => puncher.warn(line));
  store.syncNames();
  const coverage = new Coverage(manifest, geometry);
  for (const [index, { id, chunks }] of manifest.objects.entries()) {
    puncher.punch(id.toString('hex'), deadRuns(coverage, index, chunks));
  }
  store.removeJournal();
}

/** Returns the runs of chunks of an object that no file of a manifest uses. */
function deadRuns(coverage: Coverage, object: number, chunks: number): { first: number; count: number }[] {
  const runs: { first: number; count: number }[] = [];
  let first = 0;
  for (let chunk = 0; chunk <= chunks; chunk++) {
    if (chunk < chunks && !coverage.has(object, chunk)) continue;
    if (chunk > first) runs.push({ first, count: chunk - first });
    first = chunk + 1;
  }
  return runs;
}
