import type { Secret } from '../../crypto/secret.ts';
import type { Slot } from '../../format/slot.ts';
import type { Identity, OpenedSlot } from '../provider.ts';
import { recipientOf } from '../slots/public-key.ts';
import { findKeyFiles } from './find-key-files.ts';
import { PrivateKeyFile } from './private-key-file.ts';

/**
 * Makes an identity of a directory with private keys, of which only one that a slot was made for is opened. See
 * {@link findKeyFiles} for how it is found.
 * @param passphrase gets the passphrase of a file, and is called only when its key fits a slot
 */
export function keyDirectory(path: string, passphrase?: (file: string) => Promise<Secret>): Identity {
  return {
    source: `key directory ${path}`,
    unwrap: async (slots, imageId) => {
      const wanted = new Set(slots.flatMap((slot) => recipientOf(slot, imageId) ?? []));
      if (wanted.size === 0) return undefined;
      for (const file of findKeyFiles(path, wanted)) {
        const opened = await openBy(file, slots, imageId, passphrase);
        if (opened !== undefined) return opened;
      }
      return undefined;
    },
  };
}

async function openBy(
  file: string,
  slots: readonly Slot[],
  imageId: Buffer,
  passphrase: ((file: string) => Promise<Secret>) | undefined,
): Promise<OpenedSlot | undefined> {
  const identity = PrivateKeyFile.read(file, passphrase && (() => passphrase(file)));
  try {
    return await identity.unwrap(slots, imageId);
  } finally {
    identity.dispose();
  }
}
