import { CkptfsError } from '../base/errors.ts';
import type { Directory } from '../base/linux/directory.ts';
import { identifyTree, type UnlockedTree, unlockTree } from '../criu/tree/unlock-tree.ts';
import type { Identity, NamedPrivateKey } from '../keys/provider.ts';
import type { Opening } from './unlock.ts';

/** What a directory that CRIU encrypted is opened with. */
export interface CriuKeys {
  /** Returns what may have the private keys for it, in the order in which it is tried. It stays the caller's. */
  readonly identities: () => Promise<readonly Identity[]>;
  /** Refuses a directory with another id; 32 hexadecimal digits. */
  readonly imageId?: string | undefined;
  /** See `OpenOptions`. */
  readonly onOpening?: ((opening: Opening) => void) | undefined;
  /** Throws to refuse directories that CRIU encrypted. */
  readonly admitCriu?: (() => void) | undefined;
}

/**
 * Opens every encrypted directory of a tree. The caller wipes its secrets.
 * @throws CkptfsError `not-an-image`, `wrong-image`, `no-key`, `wrong-key`, `bad-key-file`, `unsupported-source`,
 *   `damaged`, `io`; what `admitCriu` and `onOpening` throw
 */
export async function unlockCriu(root: Directory, options: CriuKeys): Promise<UnlockedTree> {
  const image = { location: root.path(), imageId: identifyTree(root).imageId };
  let unlocked: UnlockedTree;
  try {
    unlocked = await openedTree(root, image, options);
  } catch (error) {
    if (error instanceof CkptfsError) options.onOpening?.({ ...image, error });
    throw error;
  }
  try {
    options.onOpening?.({ ...image, source: unlocked.sources.join(', ') });
    return unlocked;
  } catch (error) {
    unlocked.secrets.wipe();
    throw error;
  }
}

async function openedTree(
  root: Directory,
  { location, imageId }: { readonly location: string; readonly imageId: string },
  options: CriuKeys,
): Promise<UnlockedTree> {
  if (options.imageId !== undefined && options.imageId.toLowerCase() !== imageId) {
    throw new CkptfsError('wrong-image', `${location} is known as ${imageId}, not ${options.imageId}`, {
      path: location,
      data: { reason: 'other-id' },
    });
  }
  options.admitCriu?.();
  const identities = await options.identities();
  const attempt = (all: boolean): Promise<UnlockedTree> =>
    withAllKeys(identities, all, async (keys) => unlockTree(root, keys));
  try {
    return await attempt(false);
  } catch (error) {
    if (!(error instanceof CkptfsError) || !(error.code === 'no-key' || error.code === 'wrong-key')) throw error;
    // Keys in directories that a passphrase protects are opened only when no other fits.
    return attempt(true);
  }
}

/** Runs `use` with the private keys of all identities. */
async function withAllKeys<T>(
  [identity, ...others]: readonly Identity[],
  all: boolean,
  use: (keys: readonly NamedPrivateKey[]) => Promise<T>,
  before: readonly NamedPrivateKey[] = [],
): Promise<T> {
  if (identity === undefined) return use(before);
  if (identity.withPrivateKeys === undefined) return withAllKeys(others, all, use, before);
  return identity.withPrivateKeys(all, (keys) => withAllKeys(others, all, use, [...before, ...keys]));
}
