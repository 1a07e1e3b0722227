import { type OpenServed, openTree } from '../thread/open-tree.ts';
import type { ThreadSetup } from '../thread/thread-messages.ts';

/** Returns what opens an image on this thread. Code for what CRIU encrypted is loaded for that alone. */
export async function openerOf({ isCriu }: Pick<ThreadSetup, 'isCriu'>): Promise<OpenServed> {
  return isCriu ? (await import('../thread/open-criu-tree.ts')).openCriuTree : openTree;
}
