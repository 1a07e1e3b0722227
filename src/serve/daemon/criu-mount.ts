import { CkptfsError } from '../../base/errors.ts';
import type { DaemonConfig } from '../handover/daemon-config.ts';
import type { OpenedImage } from '../thread/thread-messages.ts';

/** How large a manifest is for which threads would get as much heap as one that serves what CRIU encrypted. Bytes. */
export const CRIU_HEAP_SIZE = 8 << 20;

/** @throws CkptfsError `wrong-image` when what was opened is not what the command had opened */
export function checkServed({ criu, location }: DaemonConfig, { imageId }: OpenedImage): void {
  if (criu === undefined || criu.imageId === imageId) return;
  throw new CkptfsError('wrong-image', `${location} was changed while it was opened`, {
    path: location,
    data: { reason: 'replaced' },
  });
}

/** Wipes the images that were decrypted for all threads, when these have ended. */
export async function wipeDecrypted({ shared }: OpenedImage): Promise<void> {
  if (shared !== undefined) (await import('../thread/open-criu-tree.ts')).wipeCriuTree(shared);
}
