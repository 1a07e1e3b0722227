import { CkptfsError } from '../../base/errors.ts';
import type { Secret } from '../../crypto/secret.ts';
import type { Slot } from '../../format/slot.ts';
import type { KeyFileWarning } from '../key-file.ts';
import type { Identity, NamedPrivateKey, OpenedSlot } from '../provider.ts';
import { recipientOf } from '../slots/public-key.ts';
import { findKeyFiles, privateKeyFiles } from './find-key-files.ts';
import { PrivateKeyFile } from './private-key-file.ts';

/**
 * Makes an identity of a directory with private keys, of which only one that a slot was made for is opened. See
 * {@link findKeyFiles} for how it is found.
 * @param passphrase gets the passphrase of a file, and is called only when its key fits a slot
 * @param warn is told, once for each, of files that fit a slot and that other users can read or change
 */
export function keyDirectory(
  path: string,
  passphrase?: (file: string) => Promise<Secret>,
  warn?: (warning: KeyFileWarning) => void,
): Identity {
  const warned = new Set<string>();
  const warnOnce = (warning: KeyFileWarning): void => {
    if (!warned.has(warning.path)) warn?.(warning);
    warned.add(warning.path);
  };
  return {
    source: `key directory ${path}`,
    unwrap: async (slots, imageId) => {
      const wanted = new Set(slots.flatMap((slot) => recipientOf(slot, imageId) ?? []));
      if (wanted.size === 0) return undefined;
      for (const file of findKeyFiles(path, wanted)) {
        const identity = PrivateKeyFile.read(file, passphrase && (() => passphrase(file)));
        if (identity.warning !== undefined) warnOnce(identity.warning);
        const opened = await openBy(identity, slots, imageId);
        if (opened !== undefined) return opened;
      }
      return undefined;
    },
    withPrivateKeys: async (all, use) => {
      const files = privateKeyFiles(path, all).map((file) =>
        PrivateKeyFile.read(file, passphrase && (() => passphrase(file))),
      );
      try {
        for (const { warning } of files) if (warning !== undefined) warnOnce(warning);
        const keys: NamedPrivateKey[] = [];
        for (const file of files) keys.push(...(await keysOf(file)));
        return await use(keys);
      } finally {
        for (const file of files) file.dispose();
      }
    },
  };
}

/** Passes over a file that another passphrase protects: it need not be the one that is wanted. */
async function keysOf(file: PrivateKeyFile): Promise<readonly NamedPrivateKey[]> {
  const { isProtected } = file;
  try {
    return await file.withPrivateKeys(true, async (keys) => keys);
  } catch (error) {
    const isOther = error instanceof CkptfsError && error.code === 'bad-key-file' && isProtected;
    if (isOther && error.data?.reason === 'wrong-passphrase') return [];
    throw error;
  }
}

/** Disposes of the identity in any case. */
async function openBy(
  identity: PrivateKeyFile,
  slots: readonly Slot[],
  imageId: Buffer,
): Promise<OpenedSlot | undefined> {
  try {
    return await identity.unwrap(slots, imageId);
  } finally {
    identity.dispose();
  }
}
