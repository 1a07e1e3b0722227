import type { Secret } from '../../../crypto/secret.ts';
import type { Geometry } from '../../../format/geometry.ts';
import type { Header } from '../../../format/header.ts';
import type { Manifest } from '../../../format/manifest.ts';
import type { WritableStore } from '../../../stores/writable-store.ts';
import { manifestFile } from '../../create/manifest-file.ts';
import { Coverage } from '../../verify/coverage.ts';
import type { FileChunks } from '../model/file-chunks.ts';
import type { LiveState } from '../model/live-state.ts';
import type { Puncher } from '../objects/puncher.ts';
import { removeUnnamed } from '../objects/unnamed-objects.ts';
import { manifestOf } from './live-manifest.ts';

/** What sealing needs. */
export interface SealParts {
  readonly store: WritableStore;
  readonly header: Header;
  readonly imageKey: Secret;
  readonly geometry: Geometry;
  readonly state: LiveState;
  readonly chunks: FileChunks;
  readonly puncher: Puncher;
}

/**
 * Puts the manifest of a state in place of the journal. Everything it names must be finished and durable.
 * @param objects ids of all that may have to go
 * @throws CkptfsError `io`, `unsupported-source`: the image is still unsealed; when the manifest is in place already, sealing it again ends what was begun
 */
export function sealState(parts: SealParts, objects: readonly string[]): void {
  const { store, header, imageKey, geometry, state, chunks, puncher } = parts;
  const manifest = manifestOf(state, chunks);
  store.publish('manifest', manifestFile(manifest, imageKey, header));
  endSealing(store, manifest, objects, geometry, puncher);
}

/**
 * What remains to be done when a manifest is in place and a journal of an older epoch beside it: remove objects the manifest does not
 * name, give back the room of dead chunks, and at last remove the journal, which until then says that this was not done.
 * @param objects ids of all that may have to go
 * @throws CkptfsError `io`: it is to be done again
 */
export function endSealing(
  store: WritableStore,
  manifest: Manifest,
  objects: readonly string[],
  geometry: Geometry,
  puncher: Puncher,
): void {
  removeUnnamed(store, objects, manifest.objects, geometry, (line) => puncher.warn(line));
  store.syncNames();
  const coverage = new Coverage(manifest, geometry);
  for (const [at, { id, chunks }] of manifest.objects.entries()) {
    puncher.punch(id.toString('hex'), deadRuns(coverage, at, chunks));
  }
  store.removeJournal();
}

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
