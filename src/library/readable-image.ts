import { constants } from 'node:buffer';
import { Readable } from 'node:stream';
import { Counters } from '../base/counters.ts';
import { CkptfsError } from '../base/errors.ts';
import { Region } from '../base/linux/native.ts';
import type { Time } from '../base/time.ts';
import type { FileInode, Inode } from '../format/manifest.ts';
import type { ImageSource, SourceReader } from '../image/read/image-source.ts';
import { DEFAULT_READ_CACHE_BYTES } from '../image/read/object-reader.ts';
import { ImageTree } from '../image/read/tree.ts';
import type { WriteArchiveOptions, WrittenArchive } from './write-archive.ts';

/** A file of any type in an image. */
export interface FileStatus {
  readonly type: Inode['type'];
  /** Number of the inode in the image: 1 for the root, and the same for all names of a file. */
  readonly inode: number;
  /** Permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** In bytes: the length of a regular file, or of the target of a symbolic link; 0 for other types. */
  readonly size: number;
  readonly links: number;
  readonly atime: Time;
  readonly mtime: Time;
  readonly ctime: Time;
  /** The target of a symbolic link, as raw bytes. */
  readonly target?: Buffer;
}

export interface ListedFile extends FileStatus {
  /** Raw bytes. */
  readonly name: Buffer;
}

/** Bytes that a stream yields at once. */
const PIECE_SIZE = 256 << 10;

/** A path within an image: names with `/` between them, as text in UTF-8 or as bytes. Links are not followed. */
export type ImagePath = string | Uint8Array;

/** A tree of files that is open, and can be read at any offset, whatever it is stored as. */
export abstract class ReadableImage {
  readonly #openedSource: ImageSource;
  readonly #openedTree: ImageTree;
  #reader: SourceReader | undefined;
  #isClosed = false;

  protected constructor(source: ImageSource) {
    this.#openedSource = source;
    this.#openedTree = new ImageTree(source.manifest);
  }

  get imageId(): string {
    return this.source.imageId;
  }

  /** Returns the metadata of a file of any type. @throws CkptfsError `no-such-file` */
  stat(path: ImagePath): FileStatus {
    return this.#status(this.#tree.resolve(path));
  }

  /** Lists a directory in byte order of the names, or one file. @throws CkptfsError `no-such-file` */
  list(path: ImagePath = ''): ListedFile[] {
    const number = this.#tree.resolve(path);
    if (this.#tree.inode(number)?.type !== 'directory') {
      return [{ name: Buffer.from(path as Uint8Array), ...this.#status(number) }];
    }
    const listed: ListedFile[] = [];
    for (let index = 0; ; index++) {
      const child = this.#tree.child(number, index);
      if (child === undefined) return listed;
      listed.push({ name: child.name, ...this.#status(child.inode) });
    }
  }

  /**
   * Fills `into` from a byte offset of a file, after authenticating each byte. Returns the number of bytes: the
   * length of `into`, or less at the end of the file.
   * @throws CkptfsError `no-such-file`, `damaged`, `io`; then nothing of the file is in `into`
   */
  readAt(path: ImagePath, offset: number, into: Uint8Array): number {
    if (!Number.isSafeInteger(offset) || offset < 0) {
      throw new CkptfsError('bad-argument', `offset ${offset}: it is a whole number of bytes, 0 or more`);
    }
    const file = this.#file(path);
    this.#reader ??= this.source.openReader(DEFAULT_READ_CACHE_BYTES, new Counters());
    try {
      return this.#reader.read(file, offset, into.length, new Region(into), 0);
    } catch (cause) {
      if (!(cause instanceof CkptfsError) || cause.code !== 'damaged') throw cause;
      const shown = Buffer.from(path as Uint8Array).toString();
      throw new CkptfsError('damaged', `${shown}: ${cause.message}`, { path: shown, cause });
    }
  }

  /**
   * Reads a whole file, after authenticating each byte.
   * @throws CkptfsError `no-such-file`, `damaged`, `io`; `bad-argument` for a file that is larger than a Buffer can be
   */
  readFile(path: ImagePath): Buffer {
    const { size } = this.#file(path);
    if (size > constants.MAX_LENGTH)
      throw new CkptfsError('bad-argument', `the file has ${size} bytes, more than a Buffer can hold`);
    const bytes = Buffer.alloc(size);
    return bytes.subarray(0, this.readAt(path, 0, bytes));
  }

  /**
   * Streams a range of a file, by default all of it, after authenticating each byte. The image must stay open until the
   * stream has ended.
   * @param range in bytes; it is cut at the end of the file
   * @throws CkptfsError `no-such-file`; the stream fails like {@link readAt}
   */
  createReadStream(path: ImagePath, range: { readonly offset?: number; readonly length?: number } = {}): Readable {
    const { size } = this.#file(path);
    const { offset = 0, length = size } = range;
    return Readable.from(this.#pieces(path, offset, Math.min(size, offset + length)), { objectMode: false });
  }

  /**
   * Writes all files as a tar archive in clear, in the same bytes each time.
   * @param write gets memory that is overwritten when it resolves
   * @throws CkptfsError `damaged`, `io`, `interrupted`; what `write` throws
   */
  async writeArchive(
    write: (bytes: Uint8Array) => Promise<void>,
    options: WriteArchiveOptions = {},
  ): Promise<WrittenArchive> {
    const { writeArchive } = await import('./write-archive.ts');
    return writeArchive(this.source, write, options);
  }

  /** Wipes the key and all cached plaintext. May be called again; every other method then throws `bad-argument`. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#reader?.close();
    this.#reader = undefined;
    this.closeSource();
  }

  /** Wipes and closes what the source is read from. */
  protected abstract closeSource(): void;

  /** @throws CkptfsError `bad-argument` when it is closed */
  protected get source(): ImageSource {
    this.#checkOpen();
    return this.#openedSource;
  }

  get #tree(): ImageTree {
    this.#checkOpen();
    return this.#openedTree;
  }

  /** @throws CkptfsError `bad-argument` */
  #checkOpen(): void {
    if (this.#isClosed) throw new CkptfsError('bad-argument', 'the image was used after it was closed');
  }

  #file(path: ImagePath): FileInode {
    const inode = this.#tree.inode(this.#tree.resolve(path));
    if (inode?.type === 'file') return inode;
    const shown = Buffer.from(path as Uint8Array).toString();
    const what = inode?.type === 'symlink' ? `symbolic link to ${inode.target.toString()}` : inode?.type;
    throw new CkptfsError('no-such-file', `${shown} in the image is a ${what}, not a file`, { path: shown });
  }

  *#pieces(path: ImagePath, start: number, end: number): Generator<Buffer> {
    for (let offset = start; offset < end; ) {
      const piece = Buffer.alloc(Math.min(PIECE_SIZE, end - offset));
      const count = this.readAt(path, offset, piece);
      if (count === 0) return;
      yield piece.subarray(0, count);
      offset += count;
    }
  }

  #status(number: number): FileStatus {
    const inode = this.#tree.inode(number);
    if (inode === undefined) throw new CkptfsError('internal', `inode ${number} is missing`);
    const { type, mode, uid, gid, atime, mtime, ctime } = inode;
    const size = type === 'file' ? inode.size : type === 'symlink' ? inode.target.length : 0;
    const links = this.#tree.links(number);
    const status = { type, inode: number, mode, uid, gid, size, links, atime, mtime, ctime };
    return type === 'symlink' ? { ...status, target: inode.target } : status;
  }
}
