import type { BigIntStats } from 'node:fs';
import { CkptfsError, ioError } from '../../base/errors.ts';
import type { Directory } from '../../base/linux/directory.ts';
import type { Time } from '../../base/time.ts';
import type { Entry, Inode, InodeMetadata } from '../../format/manifest.ts';
import { CIPHER_IMAGE } from '../cipher-image.ts';
import { Allowance } from '../layer.ts';
import { LAYER_SECRETS_SIZE } from '../unlock-layer.ts';
import { openImages, type SharedImages } from './images.ts';
import { changed } from './unlock-tree.ts';
import { walkDirectories } from './walk-directories.ts';

const MAX_INODES = 1 << 20;

/** A directory of a tree, as the threads that read it share it. */
export interface SharedDirectory {
  readonly path: readonly Uint8Array[];
  /** Where its secrets are among those of the tree; undefined where it is not encrypted. */
  readonly secretsAt: number | undefined;
  readonly images: SharedImages;
}

/** A tree in clear, as far as its names and sizes go. */
export interface ScannedTree {
  readonly inodes: readonly Inode[];
  readonly entries: readonly Entry[];
  readonly directories: readonly SharedDirectory[];
  /** The files that cannot be read, and why. */
  readonly problems: readonly { readonly path: Buffer; readonly reason: string }[];
}

/**
 * Opens every directory of a tree once. An extent of a file names its directory as the object, and its number among the
 * files there as the offset in it.
 * @param secrets of all encrypted directories
 * @throws CkptfsError `unsupported-source`, `wrong-image` when it has other directories than the secrets are for,
 *   `damaged`, `io`
 */
export function scanTree(root: Directory, secrets: Uint8Array): ScannedTree {
  const inodes: Inode[] = [{ type: 'directory', ...metadataOf(root.stat()) }];
  const entries: Entry[] = [];
  const directories: SharedDirectory[] = [];
  const problems: { path: Buffer; reason: string }[] = [];
  /** Numbers of the directories, by path. */
  const numbers = new Map<string, number>([['', 1]]);
  const allowance = new Allowance();
  let secretsAt = 0;
  walkDirectories(root, ({ directory, path, names, isLayer }) => {
    const own = isLayer ? secrets.subarray(secretsAt, secretsAt + LAYER_SECRETS_SIZE) : undefined;
    if (own !== undefined && own.length < LAYER_SECRETS_SIZE) throw changed(root);
    const { files, shared } = openImages(directory, own, allowance);
    const object = directories.push({ path, secretsAt: own && secretsAt, images: shared }) - 1;
    if (own !== undefined) secretsAt += LAYER_SECRETS_SIZE;
    const indexes = new Map(files.map(({ name }, index) => [name.toString('latin1'), index]));
    const parent = numbers.get(keyOf(path));
    if (parent === undefined) throw changed(root);
    for (const name of names) {
      if (isLayer && name.equals(Buffer.from(CIPHER_IMAGE))) continue;
      const index = indexes.get(name.toString('latin1'));
      const file = index === undefined ? undefined : files[index];
      const contents = file && index !== undefined ? { size: file.size, object, objectOffset: index } : undefined;
      const inode = readInode(directory, name, contents);
      if (inode === undefined) continue;
      const number = inodes.push(inode);
      if (number > MAX_INODES) throw tooMany(root);
      entries.push({ parent, name, inode: number });
      if (inode.type === 'directory') numbers.set(keyOf([...path, name]), number);
      if (file?.problem === undefined) continue;
      problems.push({ path: Buffer.from([...path, name].map(String).join('/')), reason: file.problem });
    }
  });
  if (secretsAt !== secrets.length) throw changed(root);
  return { inodes, entries, directories, problems };
}

interface Contents {
  readonly size: number;
  readonly object: number;
  readonly objectOffset: number;
}

/** Returns undefined for a device, for what is gone, and for a file that came after the directory was opened. */
function readInode(directory: Directory, name: Buffer, contents: Contents | undefined): Inode | undefined {
  try {
    const stat = directory.lstat(name);
    if (stat === undefined) return undefined;
    const metadata = metadataOf(stat);
    if (stat.isDirectory()) return { type: 'directory', ...metadata };
    if (stat.isFIFO() || stat.isSocket()) return { type: stat.isFIFO() ? 'fifo' : 'socket', ...metadata };
    if (stat.isSymbolicLink()) return { type: 'symlink', ...metadata, target: directory.readlink(name) };
    if (!stat.isFile() || contents === undefined) return undefined;
    const { size, ...place } = contents;
    return {
      type: 'file',
      ...metadata,
      size,
      extents: size === 0 ? [] : [{ fileOffset: 0, length: size, ...place }],
    };
  } catch (cause) {
    throw ioError('look at', `${directory.path()}/${name}`, cause);
  }
}

function metadataOf(stat: BigIntStats): InodeMetadata {
  return {
    mode: Number(stat.mode) & 0o7777,
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    atime: timeOf(stat.atimeNs),
    mtime: timeOf(stat.mtimeNs),
    ctime: timeOf(stat.ctimeNs),
    xattrs: [],
  };
}

function timeOf(nanoseconds: bigint): Time {
  const rest = ((nanoseconds % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
  return { seconds: Number((nanoseconds - rest) / 1_000_000_000n), nanoseconds: Number(rest) };
}

function keyOf(path: readonly Buffer[]): string {
  return path.map((name) => name.toString('latin1')).join('/');
}

function tooMany(root: Directory): CkptfsError {
  const path = root.path();
  return new CkptfsError('unsupported-source', `${path} has more than ${MAX_INODES} files`, {
    path,
    data: { reason: 'too-large' },
  });
}
