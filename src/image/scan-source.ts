import fs from 'node:fs';
import { CkptfsError, ioError } from '../base/errors.ts';
import { dataRanges, getXattr, listXattrs } from '../base/posix.ts';
import { SECTOR_SIZE } from '../format/geometry.ts';
import { type InodeMetadata, MAX_XATTR_VALUE } from '../format/manifest.ts';
import type { Time } from '../format/time.ts';
import { isKeptXattr, type Xattr } from '../format/xattrs.ts';

/** A tree as it was found, in the order in which its inodes will be numbered: a directory stands before what is in it. */
export interface SourceTree {
  readonly inodes: readonly SourceInode[];
  readonly entries: readonly SourceEntry[];
  /** Paths of the devices that were left out. */
  readonly skipped: readonly string[];
}

interface SourceEntry {
  /** Indexes into `inodes`, from 0. */
  readonly parent: number;
  readonly inode: number;
  readonly name: Buffer;
}

type SourceInode =
  | { readonly type: 'directory'; readonly path: Buffer; readonly metadata: InodeMetadata; readonly stamp: string }
  | { readonly type: 'symlink'; readonly path: Buffer; readonly metadata: InodeMetadata; readonly target: Buffer }
  | { readonly type: 'fifo' | 'socket'; readonly path: Buffer; readonly metadata: InodeMetadata }
  | SourceFile;

export interface SourceFile {
  readonly type: 'file';
  readonly path: Buffer;
  readonly metadata: InodeMetadata;
  /** Bytes. */
  readonly size: number;
  /** Runs of data as [start, end), starts aligned to sectors and ends too or at the end of the file. */
  readonly ranges: readonly (readonly [start: number, end: number])[];
  /** Another one means another file under this name, or other bytes in it. */
  readonly stamp: string;
}

/**
 * Looks at everything below `root` without following a link. Files with several names are found once.
 * @param skipSpecial leave devices out instead of refusing them
 * @throws CkptfsError `unsupported-source`, `io`
 */
export function scanSource(root: string, skipSpecial: boolean): SourceTree {
  const inodes: SourceInode[] = [];
  const entries: SourceEntry[] = [];
  const skipped: string[] = [];
  const known = new Map<string, number>();

  const add = (path: Buffer, stat: fs.BigIntStats): number | undefined => {
    const identity = `${stat.dev}:${stat.ino}`;
    const seen = stat.isDirectory() ? undefined : known.get(identity);
    if (seen !== undefined) return seen;
    const inode = readInode(path, stat);
    if (inode === undefined) return undefined;
    if (stat.nlink > 1n) known.set(identity, inodes.length);
    return inodes.push(inode) - 1;
  };

  const rootPath = Buffer.from(root);
  const rootStat = lstat(rootPath);
  if (!rootStat.isDirectory()) throw new CkptfsError('io', `${root} is not a directory`, { path: root });
  add(rootPath, rootStat);
  for (let parent = 0; parent < inodes.length; parent++) {
    const directory = inodes[parent];
    if (directory?.type !== 'directory') continue;
    for (const name of readNames(directory.path)) {
      const path = Buffer.concat([directory.path, Buffer.from('/'), name]);
      const inode = add(path, lstat(path));
      if (inode !== undefined) entries.push({ parent, inode, name });
      else if (skipSpecial) skipped.push(path.toString());
      else throw special(path);
    }
  }
  return { inodes, entries, skipped };
}

/** @throws CkptfsError `source-changed` when a file or directory is not what it was when it was scanned */
export function checkUnchanged(tree: SourceTree): void {
  for (const inode of tree.inodes) {
    if (inode.type !== 'file' && inode.type !== 'directory') continue;
    const stat = fs.lstatSync(inode.path, { bigint: true, throwIfNoEntry: false });
    if (stat === undefined || stampOf(stat) !== inode.stamp) throw sourceChanged(inode.path);
  }
}

export function sourceChanged(path: Uint8Array): CkptfsError {
  const text = Buffer.from(path).toString();
  return new CkptfsError('source-changed', `${text} changed while it was being encrypted`, {
    path: text,
    advice: 'Encrypt again when nothing writes to the checkpoint any more.',
  });
}

function readInode(path: Buffer, stat: fs.BigIntStats): SourceInode | undefined {
  if (stat.isCharacterDevice() || stat.isBlockDevice()) return undefined;
  const metadata: InodeMetadata = {
    mode: Number(stat.mode) & 0o7777,
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    atime: timeOf(stat.atimeNs),
    mtime: timeOf(stat.mtimeNs),
    ctime: timeOf(stat.ctimeNs),
    xattrs: stat.isFile() || stat.isDirectory() ? readXattrs(path) : [],
  };
  if (stat.isFIFO() || stat.isSocket()) return { type: stat.isFIFO() ? 'fifo' : 'socket', path, metadata };
  if (stat.isDirectory()) return { type: 'directory', path, metadata, stamp: stampOf(stat) };
  if (stat.isSymbolicLink()) return { type: 'symlink', path, metadata, target: readLink(path) };
  if (stat.size > Number.MAX_SAFE_INTEGER) {
    throw new CkptfsError(
      'unsupported-source',
      `${path} has ${stat.size} bytes; an image holds files below 2^53 bytes`,
    );
  }
  const size = Number(stat.size);
  const ranges = size === 0 ? [] : readRanges(path, size, stat);
  return { type: 'file', path, metadata, size, ranges, stamp: stampOf(stat) };
}

/** Data runs widened to whole sectors and joined where they touch. */
function readRanges(path: Buffer, size: number, stat: fs.BigIntStats): (readonly [number, number])[] {
  if (stat.blocks * 512n >= stat.size) return [[0, size]];
  const ranges: [number, number][] = [];
  try {
    const fd = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK);
    try {
      if (stampOf(fs.fstatSync(fd, { bigint: true })) !== stampOf(stat)) throw sourceChanged(path);
      for (const [dataStart, dataEnd] of dataRanges(fd, size)) {
        const start = Math.floor(dataStart / SECTOR_SIZE) * SECTOR_SIZE;
        const end = Math.min(size, Math.ceil(dataEnd / SECTOR_SIZE) * SECTOR_SIZE);
        const last = ranges.at(-1);
        if (last !== undefined && last[1] >= start) last[1] = end;
        else ranges.push([start, end]);
      }
    } finally {
      fs.closeSync(fd);
    }
  } catch (cause) {
    throw ioError('read', path.toString(), cause);
  }
  return ranges;
}

/** The time of the last change of the inode (ctime) cannot be set back, as that of the data can. */
export function stampOf({ dev, ino, size, mtimeNs, ctimeNs }: fs.BigIntStats): string {
  return [dev, ino, size, mtimeNs, ctimeNs].join(' ');
}

/** @param since1970 nanoseconds */
function timeOf(since1970: bigint): Time {
  const nanoseconds = ((since1970 % NANO) + NANO) % NANO;
  return { seconds: Number((since1970 - nanoseconds) / NANO), nanoseconds: Number(nanoseconds) };
}

const NANO = 1_000_000_000n;

function readXattrs(path: Buffer): Xattr[] {
  const xattrs: Xattr[] = [];
  try {
    for (const name of listXattrs(path)) {
      if (!isKeptXattr(name)) continue;
      const value = getXattr(path, name);
      if (value.length <= MAX_XATTR_VALUE) xattrs.push({ name, value });
    }
  } catch (cause) {
    throw ioError('read the extended attributes of', path.toString(), cause);
  }
  return xattrs.sort((a, b) => a.name.compare(b.name));
}

function lstat(path: Buffer): fs.BigIntStats {
  try {
    return fs.lstatSync(path, { bigint: true });
  } catch (cause) {
    throw ioError('look at', path.toString(), cause);
  }
}

function readNames(path: Buffer): Buffer[] {
  try {
    return fs.readdirSync(path, { encoding: 'buffer' }).sort((a, b) => a.compare(b));
  } catch (cause) {
    throw ioError('list', path.toString(), cause);
  }
}

function readLink(path: Buffer): Buffer {
  try {
    return fs.readlinkSync(path, { encoding: 'buffer' });
  } catch (cause) {
    throw ioError('read the link', path.toString(), cause);
  }
}

function special(path: Buffer): CkptfsError {
  return new CkptfsError('unsupported-source', `${path} is a device, which an image cannot hold`, {
    path: path.toString(),
    advice: 'Remove it, or leave devices out with --skip-special.',
  });
}
