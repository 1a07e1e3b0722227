import { setImmediate as turn } from 'node:timers/promises';
import { CkptfsError } from '../../base/errors.ts';
import { CIPHER_IMAGE } from '../cipher-image.ts';
import type { PageDigest } from '../page-digest.ts';
import type { CriuTree } from './criu-tree.ts';

export interface CriuVerifyOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onCancellable?: ((isCancellable: boolean) => void) | undefined;
  readonly onProgress?: (progress: { readonly doneBytes: number; readonly totalBytes: number }) => void;
}

/** What was found in a tree, as far as CRIU's own encryption lets it be found. */
export interface CriuReport {
  readonly files: number;
  /** Plain bytes that were read. */
  readonly bytes: number;
  /** Paths within the tree, and what is wrong with them. */
  readonly damage: readonly { readonly file: Buffer; readonly reason: string }[];
  /** For each directory with files, by its path within the tree: empty for the tree itself. */
  readonly pages: readonly ({ readonly directory: Buffer } & PageDigest)[];
  /** Paths of files that nothing protects. */
  readonly unprotected: readonly Buffer[];
}

/**
 * Reads everything in a tree, and checks each tag, and the page digest of each encrypted directory.
 * @throws CkptfsError `io`, `interrupted`
 */
export async function verifyTree(tree: CriuTree, options: CriuVerifyOptions = {}): Promise<CriuReport> {
  const totalBytes = tree.manifest.inodes.reduce((sum, inode) => sum + (inode.type === 'file' ? inode.size : 0), 0);
  const found = { files: 0, bytes: 0, damage: [] as Damage[], pages: [] as CriuReport['pages'][number][] };
  const unprotected: Buffer[] = [];
  options.onCancellable?.(true);
  try {
    for (const visited of tree.openDirectories()) {
      const inDirectory = (name: Uint8Array): Buffer =>
        Buffer.from([...visited.path, name].map(text).join('/'), 'latin1');
      if (visited.layer === undefined) {
        found.files += visited.names.length;
        unprotected.push(...visited.names.map(inDirectory));
        if (visited.names.length > 0) found.pages.push({ directory: pathText(visited.path), ...NOT_ENCRYPTED });
        continue;
      }
      const steps = visited.layer.verify();
      for (let step = steps.next(); ; step = steps.next()) {
        if (step.done === true) {
          const { faults, files, bytes, pageDigest } = step.value;
          found.files += files;
          found.bytes += bytes;
          found.damage.push(...faults.map(({ name, reason }) => ({ file: inDirectory(name), reason })));
          if (pageDigest.outcome === 'differs') {
            found.damage.push({ file: inDirectory(Buffer.from(CIPHER_IMAGE)), reason: PAGES_DIFFER });
          }
          found.pages.push({ directory: pathText(visited.path), ...pageDigest });
          unprotected.push(...step.value.unprotected.map(inDirectory));
          break;
        }
        options.onProgress?.({ doneBytes: found.bytes + step.value.bytesDone, totalBytes });
        await turn();
        if (options.signal?.aborted === true) throw new CkptfsError('interrupted', 'interrupted by a signal');
      }
    }
  } finally {
    options.onCancellable?.(false);
  }
  return { ...found, unprotected };
}

const PAGES_DIFFER = 'its digest of the pages of memory is of other pages';

const NOT_ENCRYPTED = { outcome: 'unknown', pages: 0, why: `the directory has no ${CIPHER_IMAGE}` } as const;

type Damage = CriuReport['damage'][number];

function pathText(path: readonly Uint8Array[]): Buffer {
  return Buffer.from(path.map(text).join('/'), 'latin1');
}

function text(name: Uint8Array): string {
  return Buffer.from(name).toString('latin1');
}
