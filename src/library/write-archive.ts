import { setImmediate as turn } from 'node:timers/promises';
import { paddingOf } from '../archive/blocks.ts';
import type { WriteBytes } from '../archive/compress.ts';
import { END_OF_ARCHIVE, encodeMember, type NewMember } from '../archive/encode-member.ts';
import type { DataRange } from '../archive/sparse-map.ts';
import { Counters } from '../base/counters.ts';
import { CkptfsError } from '../base/errors.ts';
import { Region } from '../base/linux/native.ts';
import { quotedPath } from '../base/printable.ts';
import { wipe } from '../base/wipe.ts';
import { type FileInode, ROOT_INODE } from '../format/manifest.ts';
import { type Loss, Losses } from '../image/outside/losses.ts';
import { describeContents } from '../image/read/describe.ts';
import type { ImageSource, SourceReader } from '../image/read/image-source.ts';
import { DEFAULT_READ_CACHE_BYTES } from '../image/read/object-reader.ts';
import { ImageTree } from '../image/read/tree.ts';
import type { Cancellation, Progress } from '../image/workers/worker-pool.ts';

export interface WriteArchiveOptions extends Cancellation {
  /** Store no holes of files, which not every program that reads archives understands. By default they are zeros. */
  readonly sparse?: boolean;
  readonly onProgress?: (progress: Progress) => void;
}

export interface WrittenArchive {
  /** What an archive cannot keep: sockets. */
  readonly losses: readonly Loss[];
}

/** Bytes that are read at once. */
const STEP = 1 << 20;
const SLASH = Buffer.from('/');

/**
 * Writes a source as a tar archive: directories before what is in them, names in byte order, so that the same source
 * always gives the same bytes. The root has no member.
 * @param write gets memory that is overwritten when it resolves
 * @throws CkptfsError `damaged`, `io`, `interrupted`; what `write` throws
 */
export async function writeArchive(
  source: ImageSource,
  write: WriteBytes,
  options: WriteArchiveOptions = {},
): Promise<WrittenArchive> {
  const writing = new Writing(source, write, options);
  options.onCancellable?.(true);
  try {
    return await writing.run();
  } finally {
    options.onCancellable?.(false);
    writing.close();
  }
}

class Writing {
  readonly #tree: ImageTree;
  readonly #reader: SourceReader;
  readonly #write: WriteBytes;
  readonly #options: WriteArchiveOptions;
  readonly #buffer = new Region(STEP);
  readonly #losses = new Losses();
  readonly #totalBytes: number;
  #doneBytes = 0;
  /** The first path of what has several. */
  readonly #written = new Map<number, Buffer>();

  constructor(source: ImageSource, write: WriteBytes, options: WriteArchiveOptions) {
    this.#tree = new ImageTree(source.manifest);
    this.#totalBytes = describeContents(source.manifest.inodes).fileBytes;
    this.#reader = source.openReader(DEFAULT_READ_CACHE_BYTES, new Counters());
    this.#write = write;
    this.#options = options;
  }

  async run(): Promise<WrittenArchive> {
    const above = [{ directory: ROOT_INODE, prefix: Buffer.alloc(0), position: 0 }];
    for (let top = above.at(-1); top !== undefined; top = above.at(-1)) {
      const child = this.#tree.child(top.directory, top.position++);
      if (child === undefined) {
        above.pop();
        continue;
      }
      const path = Buffer.concat([top.prefix, child.name]);
      await this.#add(child.inode, path);
      if (this.#tree.inode(child.inode)?.type !== 'directory') continue;
      above.push({ directory: child.inode, prefix: Buffer.concat([path, SLASH]), position: 0 });
    }
    await this.#write(END_OF_ARCHIVE);
    return { losses: this.#losses.list() };
  }

  close(): void {
    wipe(this.#buffer.bytes);
    this.#reader.close();
  }

  async #add(number: number, path: Buffer): Promise<void> {
    const inode = this.#tree.inode(number);
    if (inode === undefined) throw new CkptfsError('internal', `inode ${number} is missing`);
    if (inode.type === 'socket') {
      this.#losses.add('entry', () => path.toString(), 'EOPNOTSUPP');
      return;
    }
    const { mode, uid, gid, mtime, xattrs } = inode;
    const metadata = { path, mode, uid, gid, mtime };
    const first = this.#written.get(number);
    if (first !== undefined) return this.#put({ ...metadata, type: 'link', target: first, xattrs: [] });
    if (inode.type !== 'directory' && this.#tree.links(number) > 1) this.#written.set(number, path);
    if (inode.type === 'symlink') return this.#put({ ...metadata, type: 'symlink', target: inode.target, xattrs });
    if (inode.type !== 'file') return this.#put({ ...metadata, type: inode.type, xattrs });
    const ranges = this.#options.sparse === true ? sparseRanges(inode) : undefined;
    await this.#put({ ...metadata, type: 'file', xattrs, size: inode.size, ...(ranges && { ranges }) });
    let stored = 0;
    for (const { start, length } of ranges ?? [{ start: 0, length: inode.size }]) {
      await this.#copy(inode, path, start, start + length);
      stored += length;
    }
    await this.#write(Buffer.alloc(paddingOf(stored)));
  }

  async #put(member: NewMember): Promise<void> {
    await this.#write(encodeMember(member));
    await this.#pause();
  }

  async #copy(inode: FileInode, path: Buffer, start: number, end: number): Promise<void> {
    for (let offset = start; offset < end; ) {
      const count = this.#read(inode, path, offset, Math.min(STEP, end - offset));
      await this.#write(this.#buffer.bytes.subarray(0, count));
      offset += count;
      this.#doneBytes += count;
      this.#options.onProgress?.({ doneBytes: this.#doneBytes, totalBytes: this.#totalBytes });
      await this.#pause();
    }
  }

  #read(inode: FileInode, path: Buffer, offset: number, length: number): number {
    try {
      const count = this.#reader.read(inode, offset, length, this.#buffer, 0);
      if (count === 0) throw new CkptfsError('damaged', 'it ends early');
      return count;
    } catch (cause) {
      if (!(cause instanceof CkptfsError) || cause.code !== 'damaged') throw cause;
      throw new CkptfsError('damaged', `${quotedPath(path)}: ${cause.message}`, { path: path.toString(), cause });
    }
  }

  /** Lets signals be heard. @throws CkptfsError `interrupted` */
  async #pause(): Promise<void> {
    await turn();
    if (this.#options.signal?.aborted === true) throw new CkptfsError('interrupted', 'interrupted by a signal');
  }
}

/** Returns where a file that has holes has data, and undefined for one that has none. */
function sparseRanges({ size, extents }: FileInode): DataRange[] | undefined {
  const ranges: { start: number; length: number }[] = [];
  for (const { fileOffset, length } of extents) {
    const last = ranges.at(-1);
    const stored = Math.min(length, size - fileOffset);
    if (last !== undefined && last.start + last.length === fileOffset) last.length += stored;
    else ranges.push({ start: fileOffset, length: stored });
  }
  const [only] = ranges;
  const isWhole = size === 0 || (ranges.length === 1 && only?.start === 0 && only.length === size);
  return isWhole ? undefined : ranges;
}
