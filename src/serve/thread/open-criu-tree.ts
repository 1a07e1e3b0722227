import type { Counters } from '../../base/counters.ts';
import { quotedPath } from '../../base/printable.ts';
import { CriuTree, type SharedTree } from '../../criu/tree/criu-tree.ts';
import type { Secret } from '../../crypto/secret.ts';
import type { FaultListener } from '../../fs/store-faults.ts';
import type { StorePlace } from '../../stores/store.ts';
import { type OpenTree, servedTree, type TreeOptions } from './open-tree.ts';

/**
 * Opens a directory that CRIU encrypted, or several in a common one, to be read. The first thread that does so decrypts
 * the small images for all of them.
 * @param secrets as `unlockTree` gives them
 * @throws as `CriuTree.open` does
 */
export function openCriuTree(
  place: StorePlace,
  secrets: Secret,
  options: TreeOptions,
  counters: Counters,
  onFault: FaultListener,
): OpenTree {
  const known = options.known?.shared;
  const tree = known === undefined ? CriuTree.open(place, secrets.bytes) : CriuTree.attach(place, secrets.bytes, known);
  for (const { path, reason } of tree.problems) onFault(`${quotedPath(path)} cannot be read: ${reason}`);
  const warnings = known === undefined ? [...weaknessesOf(tree)] : [];
  for (const warning of warnings) onFault(warning);
  const own = { manifestDigest: undefined, shared: known === undefined ? tree.shared : undefined, warnings };
  return servedTree(tree, { ...options, known: own }, counters, onFault, () => tree.close());
}

function* weaknessesOf(tree: CriuTree): Generator<string> {
  if (!tree.isLocked) yield 'decrypted images may be swapped out: the limit of locked memory (ulimit -l) is too low';
  yield* tree.weaknesses();
}

/** Wipes what {@link openCriuTree} has decrypted for all threads. Must be called once, when all have ended. */
export function wipeCriuTree(shared: SharedTree): void {
  CriuTree.wipeShared(shared);
}
