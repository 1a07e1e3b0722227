import { LRUCache } from 'lru-cache';
import { MalformedError } from '../base/bytes.ts';
import { CkptfsError } from '../base/errors.ts';
import type { Directory } from '../base/linux/directory.ts';
import { Region } from '../base/linux/native.ts';
import { wipe } from '../base/wipe.ts';
import { LockedPages } from '../crypto/locked-pages.ts';
import type { LocalObject } from '../stores/local-object.ts';
import { Allowance } from './allowance.ts';
import { BlobKey } from './blob-key.ts';
import { CheckedFile, type CheckedPages } from './checked-file.ts';
import { pagesId } from './image-kind.ts';
import { indexLayer } from './index-layer.ts';
import { openListed, pathIn } from './layer-directory.ts';
import { checkPageDigest, type PageDigest } from './page-digest.ts';
import { PageReader } from './page-reader.ts';
import { PieceReader } from './piece-reader.ts';
import type { Protection, SharedFile, SharedLayer } from './shared-layer.ts';
import type { StoredFile } from './stored-file.ts';
import { LAYER_SECRETS_SIZE, TOKEN_SIZE } from './unlock-layer.ts';
import { type LayerReport, verifyLayer } from './verify-layer.ts';

export { Allowance } from './allowance.ts';
export type { CheckedPages } from './checked-file.ts';

/** Files that are kept open. */
const MAX_OPEN_FILES = 8;

/** A regular file of the directory, as its plain form. */
export interface CriuFile {
  readonly name: Buffer;
  /** Plain bytes; the stored ones where `problem` is set. */
  readonly size: number;
  readonly storedSize: number;
  readonly protection: Protection;
  /** Why it cannot be read, about "it": `the tag of entry 3 does not match`. */
  readonly problem?: string | undefined;
}

/** One directory that CRIU encrypted, open. One thread must have an instance for itself. */
export class CriuLayer {
  readonly shared: SharedLayer;
  /** The regular files of the directory but cipher.img, in byte order of names, those in clear too. */
  readonly files: readonly CriuFile[];
  readonly #directory: Directory;
  readonly #held: Region;
  readonly #token: Uint8Array;
  readonly #blobKey: BlobKey;
  readonly #pieces: PieceReader;
  readonly #pages: PageReader;
  readonly #open: LRUCache<number, LocalObject>;
  /** What {@link checkPages} has read to its end. */
  readonly checkedPages = new Map<number, Uint8Array>();
  readonly #expected: CheckedPages | undefined;
  #reading: { readonly index: number; readonly file: CheckedFile } | undefined;

  private constructor(directory: Directory, secrets: Uint8Array, shared: SharedLayer, expected?: CheckedPages) {
    checkSecrets(secrets);
    this.#directory = directory;
    this.#expected = expected;
    this.shared = shared;
    this.files = shared.files.map(described);
    this.#held = new Region(new LockedPages(shared.memory).bytes);
    this.#token = secrets.subarray(0, TOKEN_SIZE);
    this.#blobKey = new BlobKey(this.#token);
    this.#pieces = new PieceReader(this.#blobKey);
    this.#pages = new PageReader(secrets.subarray(TOKEN_SIZE), shared.iv);
    this.#open = new LRUCache({ max: MAX_OPEN_FILES, dispose: (file) => file.close() });
  }

  /**
   * Reads the directory, decrypts its small images into locked memory, and indexes the rest. A file that cannot be
   * opened is listed all the same, with `problem`.
   * @param directory is not closed
   * @param secrets 96 bytes in locked memory, not copied; the caller wipes them when the layer is closed
   * @param allowance of the tree that the directory is in
   * @throws CkptfsError `damaged` about cipher.img; `unsupported-source` when its images are too large; `io`
   */
  static open(directory: Directory, secrets: Uint8Array, allowance: Allowance = new Allowance()): CriuLayer {
    checkSecrets(secrets);
    const shared = indexLayer(directory, secrets.subarray(0, TOKEN_SIZE), allowance);
    try {
      return new CriuLayer(directory, secrets, shared);
    } catch (error) {
      CriuLayer.wipeShared(shared);
      throw error;
    }
  }

  /**
   * Opens in another thread what `shared` of the first one gave. Decrypts nothing again.
   * @param expected pages that were checked: their files are then read from start to end only, and fail at the end if
   *   they are other ones
   */
  static attach(directory: Directory, secrets: Uint8Array, shared: SharedLayer, expected?: CheckedPages): CriuLayer {
    return new CriuLayer(directory, secrets, shared, expected);
  }

  /** Wipes and unlocks the decrypted images, for all threads. Must be called once, when all have closed theirs. */
  static wipeShared({ memory }: SharedLayer): void {
    new LockedPages(memory).release();
  }

  /** False means that the decrypted images may be swapped out (RLIMIT_MEMLOCK). */
  get locked(): boolean {
    return this.shared.isLocked;
  }

  /** Bytes of images that are held decrypted. */
  get heldBytes(): number {
    return this.shared.heldBytes;
  }

  /**
   * Reads plain bytes into `out`: `length`, or fewer if the file ends before. Returns how many.
   * @param file index in `files`
   * @throws CkptfsError `damaged`, also for a file with `problem`, and `io`; `out` then has zeros there
   */
  read(file: number, offset: number, length: number, out: Region, outOffset: number): number {
    const found = this.#file(file);
    if (found.problem !== undefined) throw this.#damaged(found, found.problem);
    const end = Math.min(offset + length, found.size);
    if (end <= offset) return 0;
    try {
      this.#readBody(file, found, offset, end, out, outOffset);
    } catch (error) {
      wipe(out.bytes, outOffset, outOffset + end - offset);
      throw error instanceof MalformedError ? this.#damaged(found, error.message) : error;
    }
    return end - offset;
  }

  /**
   * Checks everything that has a tag, and the page digest. Yields now and then, so that the caller shows progress and
   * can stop.
   * @throws CkptfsError `io`
   */
  verify(): Generator<{ readonly bytesDone: number }, LayerReport> {
    return verifyLayer(this);
  }

  /**
   * Checks the page digest alone: reads every page of memory once.
   * @throws CkptfsError `damaged` when a pagemap or a file of pages cannot be read, or they do not fit; `io`
   */
  checkPages(): Generator<{ readonly bytesDone: number }, PageDigest> {
    return checkPageDigest({
      files: this.files,
      digest: this.shared.digest,
      token: this.#token,
      readPlain: (file) => this.#plain(file),
      stored: (file) => this.#stored(file, this.#file(file)),
      damaged: (file, reason) => this.#damaged(this.#file(file), reason),
      checked: (file, digest) => this.checkedPages.set(file, digest),
    });
  }

  /** Closes files and wipes buffers and keys of this thread; neither the shared memory nor the secrets. */
  close(): void {
    this.#open.clear();
    this.#pieces.wipe();
    this.#pages.dispose();
    this.#blobKey.dispose();
  }

  #readBody(index: number, file: SharedFile, offset: number, end: number, out: Region, outOffset: number): void {
    const { body } = file;
    switch (body.kind) {
      case 'held':
        this.#held.bytes.copy(out.bytes, outOffset, body.at + offset, body.at + end);
        return;
      case 'pages':
        this.#pages.read(this.#storedPages(index, file), offset, end, out, outOffset);
        return;
      case 'pieces':
        this.#pieces.read(this.#stored(index, file), body.table, offset, end, out, outOffset);
        return;
      case 'clear':
        if (this.#stored(index, file).read(out, outOffset, end - offset, offset) < end - offset)
          throw new MalformedError('it ends early');
        return;
      case 'none':
        throw new MalformedError('it was not opened');
    }
  }

  /** Returns all plain bytes of an image that is held or in clear. @throws CkptfsError `damaged`, `io` */
  #plain(index: number): Uint8Array {
    const file = this.#file(index);
    if (file.body.kind === 'held') return this.#held.bytes.subarray(file.body.at, file.body.at + file.size);
    const image = new Region(file.size);
    this.read(index, 0, file.size, image, 0);
    return image.bytes;
  }

  #stored(index: number, { name, storedSize, inode }: SharedFile): LocalObject {
    const known = this.#open.get(index);
    if (known !== undefined) return known;
    const opened = openListed(this.#directory, { name: Buffer.from(name), size: storedSize, inode });
    this.#open.set(index, opened);
    return opened;
  }

  #storedPages(index: number, file: SharedFile): StoredFile {
    const stored = this.#stored(index, file);
    if (this.#expected === undefined) return stored;
    if (this.#reading?.index !== index)
      this.#reading = { index, file: new CheckedFile(stored, this.#expected.get(index)) };
    return this.#reading.file;
  }

  #file(index: number): SharedFile {
    const file = this.shared.files[index];
    if (file === undefined) throw new CkptfsError('internal', `a layer has no file ${index}`);
    return file;
  }

  #damaged({ name }: SharedFile, reason: string): CkptfsError {
    const path = pathIn(this.#directory, name);
    return new CkptfsError('damaged', `${path}: ${reason}`, { path, cause: new MalformedError(reason) });
  }
}

/** Tells whether pages of memory are stored in clear, as those that went through a page server are. */
export function hasClearPages({
  files,
}: {
  readonly files: readonly Pick<SharedFile, 'name' | 'protection'>[];
}): boolean {
  return files.some(
    ({ name, protection }) => protection === 'clear' && pagesId(Buffer.from(name).toString('latin1')) !== undefined,
  );
}

function described({ name, size, storedSize, protection, problem }: SharedFile): CriuFile {
  // A structured clone makes a Uint8Array of a Buffer.
  return { name: Buffer.from(name), size, storedSize, protection, problem };
}

function checkSecrets(secrets: Uint8Array): void {
  if (secrets.length !== LAYER_SECRETS_SIZE) throw new CkptfsError('internal', `secrets of ${secrets.length} bytes`);
}
