import { ioError } from '../../base/errors.ts';
import type { Directory } from '../../base/linux/directory.ts';
import { type Inode, ROOT_INODE } from '../../format/manifest.ts';
import type { Losses, LossKind } from '../outside/losses.ts';
import type { ImageTree } from '../read/tree.ts';
import type { MadeTree } from './extract-names.ts';
import type { ExtractedTree } from './extract-place.ts';

/** Set-user-id and set-group-id. */
const SET_ID_BITS = 0o6000;

/** The errors of setting metadata after which the file itself is fine. */
const REFUSALS: Readonly<Record<Exclude<LossKind, 'entry'>, ReadonlySet<string>>> = {
  owner: new Set(['EPERM', 'EINVAL', 'ENOTSUP', 'EOPNOTSUPP', 'EOVERFLOW', 'ENOSYS']),
  mode: new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS']),
  times: new Set(['EPERM', 'EINVAL', 'ENOTSUP', 'EOPNOTSUPP', 'EOVERFLOW', 'ENOSYS']),
  attributes: new Set([
    'EPERM',
    'EACCES',
    'ENOTSUP',
    'EOPNOTSUPP',
    'ENOSPC',
    'EDQUOT',
    'E2BIG',
    'ERANGE',
    'EINVAL',
    'ENOSYS',
  ]),
};

/**
 * Sets owners, modes, times and attributes of everything that was made; of a directory after everything in it.
 * @throws CkptfsError `io`
 */
export function setAllMetadata(tree: ImageTree, { made, order }: MadeTree, place: ExtractedTree, losses: Losses): void {
  for (const parent of order.toReversed()) {
    const directory = naming(place, parent, () => place.directories.get(parent));
    for (let at = 0, child = tree.child(parent, 0); child !== undefined; child = tree.child(parent, ++at)) {
      const { name, inode: number } = child;
      const inode = tree.inode(number);
      if (inode === undefined || inode.type === 'directory' || made[number] !== 1) continue;
      if (place.placeOf(number)?.name === name) setMetadata(directory, name, inode, number, place, losses);
    }
    const own = tree.inode(parent);
    if (own !== undefined) setMetadata(directory, '.', own, parent, place, losses);
  }
}

function setMetadata(
  directory: Directory,
  name: Uint8Array | '.',
  inode: Inode,
  number: number,
  place: ExtractedTree,
  losses: Losses,
): void {
  const path = (): string => place.pathOf(number);
  const attempt = (kind: Exclude<LossKind, 'entry'>, action: () => void): boolean =>
    losses.attempt(kind, REFUSALS[kind], path, action);
  naming(place, number, () => {
    const owned = attempt('owner', () => directory.chown(name, inode.uid, inode.gid));
    const attributes = inode.xattrs.map(
      ({ name: attribute, value }) =>
        () =>
          directory.setXattr(name, attribute, value),
    );
    losses.attemptEach('attributes', REFUSALS.attributes, path, attributes);
    // With another owner than before, a set-user-id program would run as the wrong user.
    const mode = owned ? inode.mode : inode.mode & ~SET_ID_BITS;
    if (inode.type !== 'symlink') attempt('mode', () => directory.chmod(name, mode));
    attempt('times', () => directory.utimes(name, inode.atime, inode.mtime));
  });
}

function naming<T>(place: ExtractedTree, number: number, action: () => T): T {
  try {
    return action();
  } catch (cause) {
    const what = number === ROOT_INODE ? 'set the attributes of the directory' : 'set the attributes of';
    throw ioError(what, place.pathOf(number), cause);
  }
}
