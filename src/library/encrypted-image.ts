import { constants } from 'node:buffer';
import { Readable } from 'node:stream';
import { CkptfsError } from '../base/errors.ts';
import { Region } from '../base/linux/native.ts';
import type { Time } from '../base/time.ts';
import type { FileInode, Inode } from '../format/manifest.ts';
import { type ExtractOptions, type ExtractReport, extractImage } from '../image/extract/extract.ts';
import { describeInside, describeOutside, type ImageInside, type ImageOutside } from '../image/read/describe.ts';
import { type Image, lockForReading, openImage, readAnyHeader, readHeader } from '../image/read/image.ts';
import { ImageReader } from '../image/read/image-reader.ts';
import { ImageTree } from '../image/read/tree.ts';
import { refused } from '../image/signatures/check.ts';
import { type VerifyOptions, type VerifyReport, verifyImage } from '../image/verify/verify.ts';
import { openStore } from '../stores/open-store.ts';
import type { StoreLock } from '../stores/store.ts';
import { demandSignature, type SignatureDemand } from './signatures.ts';
import { checkImageId, type OpenOptions, unlockHeader } from './unlock.ts';

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

export interface ReadOptions extends OpenOptions {
  /** Refuses an image that is not signed as is demanded. */
  readonly signature?: SignatureDemand | undefined;
}

/** Bytes that a stream yields at once. */
const PIECE_SIZE = 256 << 10;

/** A path within an image: names with `/` between them, as text in UTF-8 or as bytes. Links are not followed. */
export type ImagePath = string | Uint8Array;

/** A sealed image that is open: its metadata is authenticated, and its files can be read at any offset. */
export class EncryptedImage {
  readonly #opened: Image;
  readonly #openedTree: ImageTree;
  /** Excludes writers. */
  readonly #lock: StoreLock;
  #reader: ImageReader | undefined;
  #isClosed = false;

  private constructor(image: Image, lock: StoreLock) {
    this.#opened = image;
    this.#lock = lock;
    this.#openedTree = new ImageTree(image.manifest);
  }

  /**
   * Opens an image with its key, and authenticates its metadata. A signature that is demanded is verified before.
   * @param location the directory that `createImage` filled
   * @throws CkptfsError `not-an-image`, `unfinished`, `unsealed`, `unsupported-format`, `damaged`, `wrong-image`,
   * `no-key`, `wrong-key`, `untrusted`, `locked` while a writer begins or ends, `io`
   */
  static async open(location: string, options: ReadOptions): Promise<EncryptedImage> {
    const store = openStore(location);
    let lock: StoreLock | undefined;
    try {
      lock = lockForReading(store);
      const header = readHeader(store);
      const signed = options.signature && (await demandSignature(store, header, options.signature));
      const { imageKey } = await unlockHeader(store, header, options);
      try {
        const image = openImage(store, header, imageKey, signed?.manifestDigest);
        if (signed !== undefined) checkEpoch(image, signed.epoch);
        return new EncryptedImage(image, lock);
      } catch (error) {
        imageKey.wipe();
        throw error;
      }
    } catch (error) {
      lock?.release();
      store.close();
      throw error;
    }
  }

  get imageId(): string {
    return this.#image.header.imageId.toString('hex');
  }

  /** Describes the image and its contents. @throws CkptfsError `io` */
  describe(): ImageOutside & ImageInside {
    return { ...describeOutside(this.#image.store, this.#image.header), ...describeInside(this.#image) };
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
    this.#reader ??= new ImageReader(this.#image);
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

  /** Reads and authenticates the whole image. @throws CkptfsError `io`, `interrupted` */
  async verify(options: VerifyOptions = {}): Promise<VerifyReport> {
    return verifyImage(this.#image, options);
  }

  /**
   * Writes all files in clear into a new or empty directory, and reports what that directory could not keep.
   * @throws CkptfsError `exists`, `damaged`, `io`, `interrupted`
   */
  async extract(target: string, options: ExtractOptions = {}): Promise<ExtractReport> {
    return extractImage(this.#image, target, options);
  }

  /** Wipes the key and all cached plaintext. May be called again; every other method then throws `bad-argument`. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#reader?.close();
    this.#reader = undefined;
    this.#opened.imageKey.wipe();
    this.#opened.store.close();
    this.#lock.release();
  }

  get #image(): Image {
    this.#checkOpen();
    return this.#opened;
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

/** @throws CkptfsError `untrusted` when a signer stated another epoch than that of the seal */
export function checkEpoch({ store, manifest }: Image, stated: number): void {
  if (manifest.epoch === stated) return;
  throw refused(store.location, 'altered', `is of seal ${manifest.epoch}, but was signed as seal ${stated}`);
}

/**
 * Describes what can be seen of an image, sealed or not, without a key. Nothing of it is authenticated.
 * @throws CkptfsError `not-an-image`, `unfinished`, `unsupported-format`, `damaged`, `wrong-image`, `io`
 */
export function inspectImage(location: string, imageId?: string): ImageOutside {
  const store = openStore(location);
  try {
    const header = store.has('journal') ? readAnyHeader(store) : readHeader(store);
    checkImageId(store, header, imageId);
    return describeOutside(store, header);
  } finally {
    store.close();
  }
}
