import { closeSync } from 'node:fs';
import type { Manifest } from '../../format/manifest.ts';
import { openEmptyDirectory } from '../../stores/empty-directory.ts';
import { type Loss, Losses } from '../outside/losses.ts';
import { ImageTree } from '../read/tree.ts';
import { setAllMetadata } from './extract-metadata.ts';
import { makeNames } from './extract-names.ts';
import { ExtractedTree } from './extract-place.ts';

export interface ExtractReport {
  /**
   * What the destination could not keep; everything else is there. Owners are listed only if root extracts: another
   * user cannot give files away and owns all of them then, as with tar and cp.
   */
  readonly losses: readonly Loss[];
}

/**
 * Makes a tree in a directory that does not exist, or is empty and owned by the caller. If it fails, what it wrote
 * stays.
 * @param writeContents fills the files; `made[number]` is 1 for each inode that is there
 * @throws CkptfsError `exists`, `io`, and what `writeContents` throws
 */
export async function extractTree(
  manifest: Pick<Manifest, 'inodes' | 'entries'>,
  target: string,
  writeContents: (made: Uint8Array, extracted: ExtractedTree) => Promise<void>,
): Promise<ExtractReport> {
  const tree = new ImageTree(manifest);
  // The mode of the directory, which is set last, keeps other users out, so that names below it stay what they are.
  const root = openEmptyDirectory(target);
  const extracted = new ExtractedTree(tree, { root, target });
  const losses = new Losses();
  try {
    const madeTree = makeNames(tree, manifest.inodes.length, extracted, losses);
    await writeContents(madeTree.made, extracted);
    setAllMetadata(tree, madeTree, extracted, losses);
  } finally {
    extracted.close();
    closeSync(root);
  }
  const isRoot = process.geteuid?.() === 0;
  return { losses: losses.list().filter(({ kind }) => isRoot || kind !== 'owner') };
}
