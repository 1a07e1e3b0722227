import { existsSync } from 'node:fs';
import { Errno } from '../base/errno.ts';
import { CkptfsError } from '../base/errors.ts';
import { Region } from '../base/linux/native.ts';
import { quotedPath } from '../base/printable.ts';
import type { Secret } from '../crypto/secret.ts';
import { ROOT_INODE } from '../format/manifest.ts';
import { discardImage, type MadeImage } from '../image/discard-image.ts';
import { beginImage } from '../image/writable/begin-image.ts';
import { openWritable } from '../image/writable/open-writable.ts';
import type { NewInode, WritableImage } from '../image/writable/writable-image.ts';
import { createStore } from '../stores/open-store.ts';
import type { WritableStore } from '../stores/writable-store.ts';
import type { ImagePath } from './encrypted-image.ts';
import { madeIn, type NewImageOptions, ownRoot } from './new-image.ts';

/** All of a file at once, text as UTF-8; or piece by piece, such as from a stream. */
export type FileContents = string | Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

export interface ImageWriterOptions extends NewImageOptions {
  /** Told, in one line, of what goes less well than it should. */
  readonly onWarning?: (line: string) => void;
}

export interface WrittenFileOptions {
  /** Permission bits; default 0600. */
  readonly mode?: number;
}

const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;
/** Far below what the image takes in one write. */
const MAX_WRITE = 1 << 20;
const SLASH = 0x2f;

/**
 * A new image that is written without a mount, from memory or from streams: no plaintext gets to a disk. It is unsealed
 * until {@link seal}, like that of `ckptfs mount --write`: what a process leaves that ends before is for `sealImage`
 * and `recoverImage`.
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
   * @throws CkptfsError `bad-argument`, `exists`, `io`; nothing is left at the destination then, unless it was there
   * before
   */
  static async create({
    destination,
    root = ownRoot(),
    onWarning,
    ...options
  }: ImageWriterOptions): Promise<ImageWriter> {
    const isNewDirectory = !existsSync(destination);
    const store = createStore(destination);
    const made = madeIn(store, destination, isNewDirectory);
    let imageKey: Secret | undefined;
    try {
      const begun = await beginImage(store, { ...options, root });
      imageKey = begun.imageKey;
      const image = openWritable(store, begun.header, imageKey, onWarning === undefined ? {} : { onWarning });
      return new ImageWriter(store, imageKey, image, made);
    } catch (error) {
      imageKey?.wipe();
      store.close();
      discardImage(made);
      throw error;
    }
  }

  /**
   * Makes a file, and the directories above it that are not there. Resolves when the image has all of it; when it
   * fails, there is no such file.
   * @throws CkptfsError `exists`, `bad-argument` for a path that cannot be, `io`; what the source of the contents
   * throws
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
   * Makes a directory, and those above it; one that is there stays as it is. @throws CkptfsError `exists` for a file,
   * `bad-argument`, `io`
   */
  makeDirectory(path: ImagePath, mode: number = DIRECTORY_MODE): void {
    this.#edit(path, () => this.#directory(namesIn(path), mode));
  }

  /**
   * Seals the image, durably, and ends this.
   * @throws CkptfsError `io`: it stays unsealed, and can be sealed again or discarded; `bad-argument` while a file is
   * being written
   */
  seal(): void {
    this.#checkOpen();
    if (this.#unfinished > 0)
      throw new CkptfsError('bad-argument', 'the image was sealed before all files were written');
    this.#image.seal();
    this.#end();
  }

  /**
   * Removes the image and ends this; after {@link seal} or itself it does nothing.
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
      // What went wrong first is what the caller has to know. The file is marked as lost, and the image cannot be sealed.
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

  /** The directory of these names, made where it is not there. */
  #directory(names: readonly Buffer[], mode: number): number {
    let at = ROOT_INODE;
    for (const [index, name] of names.entries()) {
      const own = index === names.length - 1 ? mode : DIRECTORY_MODE;
      at = this.#image.lookup(at, name) ?? this.#image.mkdir(at, name, { mode: own, ...this.#owner });
      if (this.#image.inode(at)?.type !== 'directory') throw Errno.of('EEXIST');
    }
    return at;
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
    if (this.#isEnded)
      throw new CkptfsError('bad-argument', 'the image was written on after it was sealed or discarded');
  }

  #end(): void {
    this.#isEnded = true;
    this.#image.close();
    this.#imageKey.wipe();
    this.#store.close();
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
