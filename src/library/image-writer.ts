import { existsSync } from 'node:fs';
import { Errno } from '../base/errno.ts';
import { CkptfsError } from '../base/errors.ts';
import { Region } from '../base/linux/native.ts';
import { quotedPath } from '../base/printable.ts';
import { checkCompression } from '../compression/check-compression.ts';
import type { Secret } from '../crypto/secret.ts';
import { ROOT_INODE } from '../format/manifest.ts';
import { discardImage, type MadeImage } from '../image/discard-image.ts';
import { beginImage } from '../image/writable/begin-image.ts';
import { openWritable } from '../image/writable/open-writable.ts';
import type { NewInode, WritableImage } from '../image/writable/writable-image.ts';
import { createStore } from '../stores/open-store.ts';
import type { WritableStore } from '../stores/writable-store.ts';
import { madeIn, type NewImageOptions, ownRoot } from './new-image.ts';
import type { ImagePath } from './readable-image.ts';

/** The contents of a file: at once, text as UTF-8, or in pieces, such as from a stream. */
export type FileContents = string | Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

export interface ImageWriterOptions extends NewImageOptions {
  /** Is called with one line for each thing that is not as it should be. */
  readonly onWarning?: (line: string) => void;
}

export interface WrittenFileOptions {
  /** Permission bits; default 0600. */
  readonly mode?: number;
}

const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;
/** In bytes; an image accepts far more in one write. */
const MAX_WRITE = 1 << 20;
const SLASH = 0x2f;

/**
 * Writes a new image without a mount, from memory or from streams, so that no plaintext is written to a disk. The image
 * is unsealed until {@link seal}, like one that is mounted to be written. What a process leaves that ends before can be
 * sealed with `sealImage`, or made sealable with `recoverImage`.
 */
export class ImageWriter {
  /** 32 hexadecimal digits. */
  readonly imageId: string;
  readonly #store: WritableStore;
  readonly #imageKey: Secret;
  readonly #image: WritableImage;
  readonly #made: MadeImage;
  readonly #owner: Pick<NewInode, 'uid' | 'gid'>;
  /** How many files are being written. */
  #unfinished = 0;
  #isEnded = false;

  private constructor(store: WritableStore, imageKey: Secret, image: WritableImage, made: MadeImage) {
    this.imageId = image.header.imageId.toString('hex');
    this.#store = store;
    this.#imageKey = imageKey;
    this.#image = image;
    this.#made = made;
    const { uid, gid } = ownRoot();
    this.#owner = { uid, gid };
  }

  /**
   * Makes the image, and opens it to be written.
   * @throws CkptfsError `bad-argument`, `missing-feature`, `exists`, `io`; then the destination is as it was before
   */
  static async create({
    destination,
    root = ownRoot(),
    onWarning,
    compression,
    ...options
  }: ImageWriterOptions): Promise<ImageWriter> {
    checkCompression(compression);
    const isNewDirectory = !existsSync(destination);
    const store = createStore(destination);
    const made = madeIn(store, destination, isNewDirectory);
    let imageKey: Secret | undefined;
    try {
      const begun = await beginImage(store, { ...options, compression: compression?.name, root });
      imageKey = begun.imageKey;
      const image = openWritable(store, begun.header, imageKey, {
        effort: compression,
        ...(onWarning === undefined ? {} : { onWarning }),
      });
      return new ImageWriter(store, imageKey, image, made);
    } catch (error) {
      imageKey?.wipe();
      store.close();
      discardImage(made);
      throw error;
    }
  }

  /**
   * Makes a file, and the missing directories above it. Resolves when the image has all of it. When it fails, there is
   * no such file.
   * @throws CkptfsError `exists`, `bad-argument` for an impossible path, `io`; what the source of the contents throws
   */
  async writeFile(
    path: ImagePath,
    contents: FileContents,
    { mode = FILE_MODE }: WrittenFileOptions = {},
  ): Promise<void> {
    const { directory, name } = this.#edit(path, () => this.#placeOf(path));
    const file = this.#edit(path, () => this.#image.create(directory, name, { mode, ...this.#owner }));
    this.#unfinished++;
    try {
      let offset = 0;
      for await (const piece of piecesOf(contents)) offset = this.#append(path, file, offset, piece);
      this.#checkOpen();
      this.#image.unstored.closed(file);
      this.#image.commit();
    } catch (error) {
      this.#takeBack(directory, name, file);
      throw error;
    } finally {
      this.#unfinished--;
    }
  }

  /**
   * Makes a directory, and the missing ones above it. Leaves an existing one as it is.
   * @throws CkptfsError `exists` where a file has one of the names, `bad-argument`, `io`
   */
  makeDirectory(path: ImagePath, mode: number = DIRECTORY_MODE): void {
    this.#edit(path, () => this.#directory(namesIn(path), mode));
  }

  /**
   * Seals the image durably. It cannot be written any more.
   * @throws CkptfsError `io`, `unsupported-source`: the image is unsealed. Another call may succeed, but not after
   *   something could not be made durable: then discard the image. `bad-argument` while a file is being written
   */
  seal(): void {
    this.#checkOpen();
    if (this.#unfinished > 0)
      throw new CkptfsError('bad-argument', 'the image cannot be sealed while files are being written');
    this.#image.seal();
    this.#end();
  }

  /**
   * Removes the image. Does nothing after {@link seal}, or when it is called again.
   * @throws CkptfsError `locked` while it is read, `io`
   */
  discard(): void {
    if (this.#isEnded) return;
    this.#end();
    discardImage(this.#made);
  }

  #takeBack(directory: number, name: Buffer, file: number): void {
    if (this.#isEnded) return;
    try {
      this.#image.unlink(directory, name);
      this.#image.release(file);
    } catch (error) {
      // The caller must learn of the first error. The file is marked as lost, so that the image cannot be sealed.
      if (!(error instanceof CkptfsError)) throw error;
    }
  }

  #append(path: ImagePath, file: number, offset: number, piece: Uint8Array): number {
    const memory = new Region(piece);
    for (let done = 0; done < piece.length; ) {
      const length = Math.min(MAX_WRITE, piece.length - done);
      this.#edit(path, () => this.#image.write(file, offset + done, length, memory, done));
      done += length;
    }
    return offset + piece.length;
  }

  #placeOf(path: ImagePath): { readonly directory: number; readonly name: Buffer } {
    const names = namesIn(path);
    const name = names.pop();
    if (name === undefined) throw Errno.of('EISDIR');
    return { directory: this.#directory(names, DIRECTORY_MODE), name };
  }

  /** Returns the directory with these names below the root, and makes what is missing. */
  #directory(names: readonly Buffer[], mode: number): number {
    let inode = ROOT_INODE;
    for (const [index, name] of names.entries()) {
      const own = index === names.length - 1 ? mode : DIRECTORY_MODE;
      inode = this.#image.lookup(inode, name) ?? this.#image.mkdir(inode, name, { mode: own, ...this.#owner });
      if (this.#image.inode(inode)?.type !== 'directory') throw Errno.of('EEXIST');
    }
    return inode;
  }

  #edit<T>(path: ImagePath, change: () => T): T {
    this.#checkOpen();
    try {
      return change();
    } catch (cause) {
      if (!(cause instanceof Errno)) throw cause;
      const shown = Buffer.from(path as Uint8Array);
      const exists = cause.code === 'EEXIST';
      const message = `${quotedPath(shown)} in the image ${exists ? 'already exists' : `cannot be made: ${cause.code}`}`;
      const details = { path: shown.toString(), cause };
      if (exists) throw new CkptfsError('exists', message, { ...details, data: { reason: 'file' } });
      throw new CkptfsError('bad-argument', message, details);
    }
  }

  #checkOpen(): void {
    if (this.#isEnded) throw new CkptfsError('bad-argument', 'the image was used after it was sealed or discarded');
  }

  #end(): void {
    this.#isEnded = true;
    try {
      this.#image.close();
    } finally {
      this.#imageKey.wipe();
      this.#store.close();
    }
  }
}

function piecesOf(contents: FileContents): Iterable<Uint8Array> | AsyncIterable<Uint8Array> {
  if (typeof contents === 'string') return [Buffer.from(contents)];
  return contents instanceof Uint8Array ? [contents] : contents;
}

/** @throws Errno EINVAL for "." and ".." */
function namesIn(path: ImagePath): Buffer[] {
  const bytes = Buffer.from(path as Uint8Array);
  const names: Buffer[] = [];
  for (let start = 0; start < bytes.length; ) {
    const slash = bytes.indexOf(SLASH, start);
    const end = slash < 0 ? bytes.length : slash;
    if (end > start) names.push(bytes.subarray(start, end));
    start = end + 1;
  }
  if (names.some((name) => name.equals(Buffer.from('.')) || name.equals(Buffer.from('..')))) throw Errno.of('EINVAL');
  return names;
}
