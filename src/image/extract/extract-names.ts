import { closeSync, constants as fsConstants, ftruncateSync } from 'node:fs';
import { ioError } from '../../base/errors.ts';
import type { Directory } from '../../base/linux/directory.ts';
import { type Inode, ROOT_INODE } from '../../format/manifest.ts';
import type { Losses } from '../outside/losses.ts';
import type { ImageTree } from '../read/tree.ts';
import type { ExtractedTree } from './extract-place.ts';

/** The part of a tree that was made. */
export interface MadeTree {
  /** 1 for each inode number that was made. */
  readonly made: Uint8Array;
  /** The directories that were made, each before those in it. */
  readonly order: readonly number[];
}

/** The errors of making a name, a link or a size that this file system cannot have, while others are possible. */
const UNMAKEABLE = new Set([
  ...['EPERM', 'EINVAL', 'EILSEQ', 'ENAMETOOLONG', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK', 'EFBIG', 'EOVERFLOW'],
]);

/**
 * Makes every name, and files with their full size but without contents. Leaves out what the destination cannot have.
 * @throws CkptfsError `io`
 */
export function makeNames(tree: ImageTree, count: number, place: ExtractedTree, losses: Losses): MadeTree {
  const made = new Uint8Array(count + 1);
  made[ROOT_INODE] = 1;
  const order: number[] = [];
  const links: { parent: number; name: Buffer; inode: number }[] = [];
  const waiting: number[] = [ROOT_INODE];
  for (let parent = waiting.pop(); parent !== undefined; parent = waiting.pop()) {
    order.push(parent);
    for (let at = 0, child = tree.child(parent, 0); child !== undefined; child = tree.child(parent, ++at)) {
      const { name, inode: number } = child;
      const inode = tree.inode(number);
      if (inode === undefined) continue;
      if (tree.place(number)?.name !== name) {
        links.push({ parent, name, inode: number });
        continue;
      }
      const path = (): string => place.pathOfName(parent, name);
      const isMade = naming(path, () => {
        const directory = place.directories.get(parent);
        return losses.attempt('entry', UNMAKEABLE, path, () => makeInode(directory, name, inode));
      });
      if (!isMade) {
        if (inode.type === 'directory') loseAllIn(tree, number, place, losses);
        continue;
      }
      made[number] = 1;
      if (inode.type === 'directory') waiting.push(number);
    }
  }
  // Further names come after all first names.
  for (const { parent, name, inode } of links) makeLink(tree, place, losses, made, parent, name, inode);
  return { made, order };
}

/** Counts every name below a directory that could not be made. */
function loseAllIn(tree: ImageTree, directory: number, place: ExtractedTree, losses: Losses): void {
  const waiting = [directory];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const parent = next;
    for (let at = 0, child = tree.child(parent, 0); child !== undefined; child = tree.child(parent, ++at)) {
      const { name, inode } = child;
      losses.add('entry', () => place.pathOfName(parent, name), 'ENOENT');
      if (tree.inode(inode)?.type === 'directory') waiting.push(inode);
    }
  }
}

function makeInode(directory: Directory, name: Buffer, inode: Inode): void {
  if (inode.type === 'directory') directory.mkdir(name, 0o700);
  else if (inode.type === 'symlink') directory.symlink(inode.target, name);
  else if (inode.type !== 'file') directory.mknod(name, inode.type);
  else makeFile(directory, name, inode.size);
}

function makeFile(directory: Directory, name: Buffer, size: number): void {
  const { O_CREAT, O_EXCL, O_WRONLY } = fsConstants;
  const fd = directory.openFile(name, O_CREAT | O_EXCL | O_WRONLY, 0o600);
  try {
    ftruncateSync(fd, size);
  } catch (error) {
    directory.unlink(name);
    throw error;
  } finally {
    closeSync(fd);
  }
}

/** Makes a further name of a file, or the file itself if none of its earlier names could be made. */
function makeLink(
  tree: ImageTree,
  place: ExtractedTree,
  losses: Losses,
  made: Uint8Array,
  parent: number,
  name: Buffer,
  number: number,
): void {
  const path = (): string => place.pathOfName(parent, name);
  const inode = tree.inode(number);
  const first = place.placeOf(number);
  if (inode === undefined || first === undefined) return;
  naming(path, () => {
    const to = place.directories.get(parent);
    if (made[number] === 1) {
      const from = place.directories.get(first.parent, parent);
      losses.attempt('entry', UNMAKEABLE, path, () => from.link(first.name, name, to));
    } else if (losses.attempt('entry', UNMAKEABLE, path, () => makeInode(to, name, inode))) {
      made[number] = 1;
      place.rename(number, { parent, name });
    }
  });
}

function naming<T>(path: () => string, action: () => T): T {
  try {
    return action();
  } catch (cause) {
    throw ioError('create', path(), cause);
  }
}
