import { CkptfsError, ioError, systemErrorName } from '../../base/errors.ts';
import type { Directory } from '../../base/linux/directory.ts';
import { CIPHER_IMAGE } from '../cipher-image.ts';

/** A tree of dumps that follow each other is two levels deep. */
const MAX_DEPTH = 16;
const MAX_DIRECTORIES = 4096;
/** The most encrypted directories: their secrets go to a daemon in one message. */
export const MAX_LAYERS = 256;

/** A directory of a tree, open only while it is visited. */
export interface VisitedDirectory {
  readonly directory: Directory;
  /** Names from the root of the tree on; empty for the root. */
  readonly path: readonly Buffer[];
  /** All entries, in byte order. */
  readonly names: readonly Buffer[];
  /** Whether CRIU encrypted it. */
  readonly isLayer: boolean;
}

/**
 * Visits a directory and all directories below it, level by level, those of a level in byte order of their paths. No
 * link and no mount point is followed.
 * @throws CkptfsError `unsupported-source` for a mount point below, and for a tree that is too large; `io`
 */
export function walkDirectories(root: Directory, visit: (visited: VisitedDirectory) => void): void {
  let level: (readonly Buffer[])[] = [[]];
  let [count, layers] = [0, 0];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > MAX_DEPTH) throw tooLarge(root, `is more than ${MAX_DEPTH} levels deep`);
    count += level.length;
    if (count > MAX_DIRECTORIES) throw tooLarge(root, `has more than ${MAX_DIRECTORIES} directories`);
    const next: (readonly Buffer[])[] = [];
    for (const path of level) {
      withDirectoryAt(root, path, (directory) => {
        const names = listed(directory);
        const isLayer = statOf(directory, CIPHER_IMAGE)?.isFile() === true;
        if (isLayer && ++layers > MAX_LAYERS) throw tooLarge(root, `has more than ${MAX_LAYERS} encrypted directories`);
        visit({ directory, path, names, isLayer });
        for (const name of names) {
          if (statOf(directory, name)?.isDirectory() === true) next.push([...path, name]);
        }
      });
    }
    level = next;
  }
}

/** Runs `use` with a directory of a tree. @throws CkptfsError `unsupported-source` for a mount point, `io` */
export function withDirectoryAt<T>(root: Directory, path: readonly Uint8Array[], use: (directory: Directory) => T): T {
  const directory = openDirectoryAt(root, path);
  try {
    return use(directory);
  } finally {
    directory.close();
  }
}

/** Opens a directory of a tree. The caller closes it. @throws as {@link withDirectoryAt} */
export function openDirectoryAt(root: Directory, path: readonly Uint8Array[]): Directory {
  let at = root.reopen();
  for (const name of path) {
    const above = at;
    try {
      at = above.openDirectory(name, { sameMount: true });
    } catch (cause) {
      const where = `${above.path()}/${Buffer.from(name)}`;
      if (systemErrorName(cause) !== 'EXDEV') throw ioError('open', where, cause);
      throw new CkptfsError('unsupported-source', `${where} is a mount point, which is not followed`, {
        path: where,
        data: { reason: 'unrepresentable' },
        cause,
      });
    } finally {
      above.close();
    }
  }
  return at;
}

function listed(directory: Directory): Buffer[] {
  try {
    return directory.names().sort(Buffer.compare);
  } catch (cause) {
    throw ioError('list', directory.path(), cause);
  }
}

function statOf(directory: Directory, name: Buffer | string) {
  try {
    return directory.lstat(name);
  } catch (cause) {
    throw ioError('look at', `${directory.path()}/${name}`, cause);
  }
}

function tooLarge(root: Directory, what: string): CkptfsError {
  const path = root.path();
  return new CkptfsError('unsupported-source', `${path} ${what}`, { path, data: { reason: 'too-large' } });
}
