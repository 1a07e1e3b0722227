import { createHash } from 'node:crypto';
import { CkptfsError, ioError } from '../../base/errors.ts';
import { Directory } from '../../base/linux/directory.ts';
import { Secret } from '../../crypto/secret.ts';
import { CIPHER_IMAGE, MAX_CIPHER_IMAGE_SIZE } from '../cipher-image.ts';
import { LAYER_SECRETS_SIZE, type LayerKey, unlockLayer } from '../unlock-layer.ts';
import { readBounded } from './read-bounded.ts';
import { walkDirectories } from './walk-directories.ts';

/** What identifies a tree that CRIU encrypted: it has no id of its own. */
export interface TreeIdentity {
  /** 32 hexadecimal digits: half of the SHA-256 of all its cipher.img, and of where they are. */
  readonly imageId: string;
  /** The number of its directories that are encrypted. */
  readonly layers: number;
}

/** @throws CkptfsError `not-an-image` when nothing of it is encrypted, `unsupported-source`, `damaged`, `io` */
export function identifyTree(root: Directory): TreeIdentity {
  const hash = createHash('sha256');
  let layers = 0;
  walkDirectories(root, ({ directory, path, isLayer }) => {
    if (!isLayer) return;
    layers++;
    const bytes = readBounded(directory, CIPHER_IMAGE, MAX_CIPHER_IMAGE_SIZE);
    hash.update(`${path.map((name) => name.toString('hex')).join('/')}:${bytes.length}:`).update(bytes);
  });
  if (layers > 0) return { imageId: hash.digest('hex').slice(0, 32), layers };
  const path = root.path();
  throw new CkptfsError('not-an-image', `${path} is not encrypted: it has no ${CIPHER_IMAGE}`, {
    path,
    data: { reason: 'no-header' },
  });
}

/** The secrets of all encrypted directories of a tree. */
export interface UnlockedTree extends TreeIdentity {
  /** {@link LAYER_SECRETS_SIZE} bytes for each, in the order of {@link walkDirectories}. The caller wipes it. */
  readonly secrets: Secret;
  /** What opened them. */
  readonly sources: readonly string[];
}

/**
 * Opens every encrypted directory of a tree by whichever key fits it.
 * @throws CkptfsError `no-key`, `wrong-key`, and what {@link identifyTree} throws
 */
export function unlockTree(root: Directory, keys: readonly LayerKey[]): UnlockedTree {
  const identity = identifyTree(root);
  const secrets = Secret.zeros(identity.layers * LAYER_SECRETS_SIZE);
  const sources = new Set<string>();
  try {
    let at = 0;
    walkDirectories(root, ({ directory, isLayer }) => {
      if (!isLayer) return;
      const own = secrets.bytes.subarray(at, at + LAYER_SECRETS_SIZE);
      if (own.length < LAYER_SECRETS_SIZE) throw changed(root);
      sources.add(unlockLayer(directory, keys, own));
      at += LAYER_SECRETS_SIZE;
    });
    if (at < secrets.length) throw changed(root);
    return { ...identity, secrets, sources: [...sources] };
  } catch (error) {
    secrets.wipe();
    throw error;
  }
}

/** Opens the directory that a path leads to. The caller closes it. @throws CkptfsError `io` */
export function openTreeRoot(location: string): Directory {
  try {
    return Directory.open(location);
  } catch (cause) {
    throw ioError('open', location, cause);
  }
}

/** Makes the error of a tree whose directories are not what they were. */
export function changed(root: Directory): CkptfsError {
  const path = root.path();
  return new CkptfsError('wrong-image', `${path} was changed while it was opened`, {
    path,
    data: { reason: 'replaced' },
  });
}
