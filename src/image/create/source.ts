import type fs from 'node:fs';
import { CkptfsError, ioError, systemErrorName } from '../../base/errors.ts';
import { Directory } from '../../base/linux/directory.ts';
import { printable } from '../../base/printable.ts';
import type { InodeMetadata } from '../../format/manifest.ts';
import { type Loss, MAX_PATH_SHOWN } from '../outside/losses.ts';
import { type PlaceInTree, pathInTree, TreeDirectories } from '../outside/tree-directories.ts';

/** A tree as the scan found it. Inodes are in the order of their numbers: a directory comes before what is in it. */
export interface SourceTree {
  readonly inodes: readonly SourceInode[];
  readonly entries: readonly SourceEntry[];
  /** Paths of the devices that were left out. */
  readonly skipped: readonly string[];
  /** What the image cannot keep. */
  readonly losses: readonly Loss[];
}

interface SourceEntry {
  /** Indexes into `inodes`, from 0. */
  readonly parent: number;
  readonly inode: number;
  readonly name: Buffer;
}

/** The place of an inode is that of its first name. The root has the parent -1. */
interface SourceBase extends PlaceInTree {
  readonly name: Buffer;
  readonly metadata: InodeMetadata;
  /** Changes when another file gets the name, and when the bytes of the file change. */
  readonly stamp: string;
}

export type SourceInode =
  | ({ readonly type: 'directory' | 'fifo' | 'socket' } & SourceBase)
  | ({ readonly type: 'symlink'; readonly target: Buffer } & SourceBase)
  | SourceFile;

export interface SourceFile extends SourceBase {
  readonly type: 'file';
  /** Bytes. */
  readonly size: number;
  /** Runs of data as [start, end). Starts and ends are on sectors; the last end may be the end of the file. */
  readonly ranges: readonly (readonly [start: number, end: number])[];
}

/** A source is held by a descriptor from the scan to the end. Its files are reached from there, name by name. */
export interface OpenSource {
  readonly root: Directory;
  /** The path that the user gave. */
  readonly location: string;
}

/** Opens a source. @throws CkptfsError `io` */
export function openSource(location: string): OpenSource {
  try {
    return { root: Directory.open(location, { follow: false }), location };
  } catch (cause) {
    if (systemErrorName(cause) === 'ENOTDIR') {
      throw new CkptfsError('io', `${location} is not a directory`, { path: location, cause });
    }
    throw ioError('look at', location, cause);
  }
}

/** Returns the stamp of a file. It has the ctime, which a program cannot set back as it can the mtime. */
export function stampOf({ dev, ino, size, mtimeNs, ctimeNs }: fs.BigIntStats): string {
  return [dev, ino, size, mtimeNs, ctimeNs].join(' ');
}

/** Returns the device and the inode of a stamp. */
function identityOf(stamp: string): string {
  return stamp.split(' ', 2).join(' ');
}

/** Gives access to the directories of a source, each of which must be the one that was scanned. */
export function directoriesOf(source: OpenSource, inodes: readonly SourceInode[]): TreeDirectories {
  const check = (inode: number, directory: Directory): void => {
    const found = inodes[inode];
    if (found === undefined || identityOf(stampOf(directory.stat())) !== identityOf(found.stamp)) {
      throw sourceChanged(pathInTree(source.location, inode, (at) => placeAmong(inodes, at)));
    }
  };
  return new TreeDirectories(source.root, (inode) => placeAmong(inodes, inode), { check });
}

function placeAmong(inodes: readonly PlaceInTree[], inode: number): PlaceInTree | undefined {
  const place = inodes[inode];
  return place === undefined || place.parent < 0 ? undefined : place;
}

export function pathOfPlace(
  { location }: OpenSource,
  inodes: readonly SourceInode[],
  { parent, name }: PlaceInTree,
): string {
  if (parent < 0) return location;
  const directory = pathInTree(location, parent, (inode) => placeAmong(inodes, inode));
  return printable(`${directory}/${Buffer.from(name)}`, MAX_PATH_SHOWN);
}

/** Checks that files and directories are as they were scanned. @throws CkptfsError `source-changed` */
export function checkUnchanged(source: OpenSource, tree: SourceTree): void {
  const directories = directoriesOf(source, tree.inodes);
  try {
    for (const inode of tree.inodes) {
      if (inode.type !== 'file' && inode.type !== 'directory') continue;
      if (stampNow(source, directories, inode) !== inode.stamp) {
        throw sourceChanged(pathOfPlace(source, tree.inodes, inode));
      }
    }
  } finally {
    directories.close();
  }
}

/** Returns the present stamp of a place; undefined if it, or a directory on the way, no longer exists. */
function stampNow(
  { root }: OpenSource,
  directories: TreeDirectories,
  { parent, name }: PlaceInTree,
): string | undefined {
  if (parent < 0) return stampOf(root.stat());
  try {
    const stat = directories.get(parent).lstat(name);
    return stat && stampOf(stat);
  } catch (error) {
    if (GONE_ERRORS.has(systemErrorName(error) ?? '')) return undefined;
    throw error;
  }
}

/** The errors of opening a file that was removed, or replaced by a link, a socket or a file. */
export const GONE_ERRORS: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO']);

export function sourceChanged(path: string): CkptfsError {
  const shown = printable(path, MAX_PATH_SHOWN);
  return new CkptfsError('source-changed', `${shown} changed while it was being encrypted`, {
    path: shown,
  });
}
