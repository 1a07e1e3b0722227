import { type BigIntStats, closeSync, constants as fsConstants, fstatSync } from 'node:fs';
import { CkptfsError, ioError } from '../../base/errors.ts';
import type { Directory } from '../../base/linux/directory.ts';
import { dataRanges } from '../../base/linux/files.ts';
import type { Time } from '../../base/time.ts';
import { SECTOR_SIZE } from '../../format/geometry.ts';
import type { InodeMetadata } from '../../format/manifest.ts';
import { isKeptXattr, type Xattr } from '../../format/xattrs.ts';
import { Losses } from '../outside/losses.ts';
import type { PlaceInTree, TreeDirectories } from '../outside/tree-directories.ts';
import {
  directoriesOf,
  type OpenSource,
  pathOfPlace,
  type SourceInode,
  type SourceTree,
  sourceChanged,
  stampOf,
} from './source.ts';

/** The errors of reading an attribute that is then not kept. */
const UNREADABLE = new Set(['EACCES', 'EPERM', 'ENODATA', 'ENOTSUP', 'EOPNOTSUPP', 'ERANGE', 'E2BIG']);

/**
 * Finds everything below the root without following a link. Finds a file with several names once.
 * @param skipSpecial leave devices out instead of refusing them
 * @throws CkptfsError `unsupported-source`, `source-changed`, `io`
 */
export function scanSource(source: OpenSource, skipSpecial: boolean): SourceTree {
  const scan = new Scan(source, skipSpecial);
  try {
    return scan.run();
  } finally {
    scan.close();
  }
}

interface SourcePlace extends PlaceInTree {
  readonly name: Buffer;
}

class Scan {
  readonly #source: OpenSource;
  readonly #skipSpecial: boolean;
  readonly #inodes: SourceInode[] = [];
  readonly #entries: SourceTree['entries'][number][] = [];
  readonly #skipped: string[] = [];
  readonly #losses = new Losses();
  /** Indexes of files that have several names, by device and inode number. */
  readonly #known = new Map<string, number>();
  readonly #directories: TreeDirectories;

  constructor(source: OpenSource, skipSpecial: boolean) {
    this.#source = source;
    this.#skipSpecial = skipSpecial;
    this.#directories = directoriesOf(source, this.#inodes);
  }

  run(): SourceTree {
    const { root } = this.#source;
    this.#add({ parent: -1, name: Buffer.alloc(0) }, root, root.stat());
    // The directory that was found last comes first, so that few directories are opened twice, however deep the tree.
    const waiting = [0];
    for (let parent = waiting.pop(); parent !== undefined; parent = waiting.pop()) {
      waiting.push(...this.#scanDirectory(parent).reverse());
    }
    return { inodes: this.#inodes, entries: this.#entries, skipped: this.#skipped, losses: this.#losses.list() };
  }

  close(): void {
    this.#directories.close();
  }

  /** Adds everything in a directory. @returns the directories in it */
  #scanDirectory(parent: number): number[] {
    const directory = this.#at('list', parent, () => this.#directories.get(parent));
    const names = this.#at('list', parent, () => directory.names().sort((a, b) => a.compare(b)));
    const found: number[] = [];
    for (const name of names) {
      const place = { parent, name };
      const stat = this.#within('look at', place, () => directory.lstat(name));
      if (stat === undefined) throw sourceChanged(this.#pathOf(place));
      const inode = this.#add(place, directory, stat);
      if (inode !== undefined) this.#entries.push({ parent, inode, name });
      else if (this.#skipSpecial) this.#skipped.push(this.#pathOf(place));
      else throw special(this.#pathOf(place));
      if (stat.isDirectory() && inode !== undefined) found.push(inode);
    }
    return found;
  }

  #add(place: SourcePlace, directory: Directory, stat: BigIntStats): number | undefined {
    const identity = `${stat.dev}:${stat.ino}`;
    const seen = stat.isDirectory() ? undefined : this.#known.get(identity);
    if (seen !== undefined) return seen;
    const inode = this.#read(place, directory, stat);
    if (inode === undefined) return undefined;
    if (stat.nlink > 1n) this.#known.set(identity, this.#inodes.length);
    return this.#inodes.push(inode) - 1;
  }

  #read(place: SourcePlace, directory: Directory, stat: BigIntStats): SourceInode | undefined {
    if (stat.isCharacterDevice() || stat.isBlockDevice()) return undefined;
    const metadata: InodeMetadata = {
      mode: Number(stat.mode) & 0o7777,
      uid: Number(stat.uid),
      gid: Number(stat.gid),
      atime: timeOf(stat.atimeNs),
      mtime: timeOf(stat.mtimeNs),
      ctime: timeOf(stat.ctimeNs),
      xattrs: stat.isFile() || stat.isDirectory() ? this.#xattrs(place, directory) : [],
    };
    const base = { ...place, metadata, stamp: stampOf(stat) };
    if (stat.isDirectory()) return { type: 'directory', ...base };
    if (stat.isFIFO() || stat.isSocket()) return { type: stat.isFIFO() ? 'fifo' : 'socket', ...base };
    if (stat.isSymbolicLink()) {
      const target = this.#within('read the link', place, () => directory.readlink(place.name));
      return { type: 'symlink', ...base, target };
    }
    if (stat.size > Number.MAX_SAFE_INTEGER) {
      const path = this.#pathOf(place);
      const message = `${path} has ${stat.size} bytes; an image holds files below 2^53 bytes`;
      throw new CkptfsError('unsupported-source', message, { path, data: { reason: 'too-large' } });
    }
    const size = Number(stat.size);
    const isFull = stat.blocks * 512n >= stat.size;
    const ranges = isFull
      ? wholeOf(size)
      : this.#within('read', place, () => this.#ranges(place, directory, size, stat));
    return { type: 'file', ...base, size, ranges };
  }

  #xattrs(place: SourcePlace, directory: Directory): Xattr[] {
    const name = place.parent < 0 ? '.' : place.name;
    const xattrs: Xattr[] = [];
    this.#within('read the extended attributes of', place, () => {
      for (const attribute of directory.listXattrs(name)) {
        if (!isKeptXattr(attribute)) continue;
        this.#losses.attempt(
          'attributes',
          UNREADABLE,
          () => this.#pathOf(place),
          () => {
            xattrs.push({ name: attribute, value: directory.getXattr(name, attribute) });
          },
        );
      }
    });
    return xattrs.sort((a, b) => a.name.compare(b.name));
  }

  #ranges(place: SourcePlace, directory: Directory, size: number, stat: BigIntStats): (readonly [number, number])[] {
    const fd = directory.openFile(place.name, fsConstants.O_RDONLY);
    try {
      if (stampOf(fstatSync(fd, { bigint: true })) !== stampOf(stat)) throw sourceChanged(this.#pathOf(place));
      return rangesOf(fd, size);
    } finally {
      closeSync(fd);
    }
  }

  #pathOf(place: SourcePlace): string {
    return pathOfPlace(this.#source, this.#inodes, place);
  }

  #at<T>(what: string, inode: number, action: () => T): T {
    return this.#within(what, this.#inodes[inode] as SourceInode, action);
  }

  /** Runs `action`. @throws CkptfsError `io` that names the place */
  #within<T>(what: string, place: PlaceInTree, action: () => T): T {
    try {
      return action();
    } catch (cause) {
      throw ioError(what, pathOfPlace(this.#source, this.#inodes, place), cause);
    }
  }
}

function wholeOf(size: number): (readonly [number, number])[] {
  return size === 0 ? [] : [[0, size]];
}

/** Returns the runs of data of a file, widened to whole sectors, and joined if they touch. */
function rangesOf(fd: number, size: number): (readonly [number, number])[] {
  const ranges: [number, number][] = [];
  for (const [dataStart, dataEnd] of dataRanges(fd, size)) {
    const start = Math.floor(dataStart / SECTOR_SIZE) * SECTOR_SIZE;
    const end = Math.min(size, Math.ceil(dataEnd / SECTOR_SIZE) * SECTOR_SIZE);
    const last = ranges.at(-1);
    if (last !== undefined && last[1] >= start) last[1] = end;
    else ranges.push([start, end]);
  }
  return ranges;
}

function timeOf(sinceEpoch: bigint): Time {
  const nanoseconds = ((sinceEpoch % NANO) + NANO) % NANO;
  return { seconds: Number((sinceEpoch - nanoseconds) / NANO), nanoseconds: Number(nanoseconds) };
}

const NANO = 1_000_000_000n;

function special(path: string): CkptfsError {
  return new CkptfsError('unsupported-source', `${path} is a device, which an image cannot hold`, {
    path,
    data: { reason: 'device' },
  });
}
