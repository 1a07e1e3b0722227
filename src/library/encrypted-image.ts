import { type ExtractOptions, extractImage } from '../image/extract/extract.ts';
import type { ExtractReport } from '../image/extract/extract-tree.ts';
import { describeInside, describeOutside, type ImageInside, type ImageOutside } from '../image/read/describe.ts';
import { type Image, lockForReading, openImage, readAnyHeader, readHeader } from '../image/read/image.ts';
import { sealedSource } from '../image/read/sealed-source.ts';
import { refused } from '../image/signatures/check.ts';
import { type VerifyOptions, type VerifyReport, verifyImage } from '../image/verify/verify.ts';
import { openStore } from '../stores/open-store.ts';
import type { StoreLock } from '../stores/store.ts';
import { ReadableImage } from './readable-image.ts';
import { demandSignature, type SignatureDemand } from './signatures.ts';
import { checkImageId, type OpenOptions, unlockHeader } from './unlock.ts';

export interface ReadOptions extends OpenOptions {
  /** Refuses an image that is not signed as is demanded. */
  readonly signature?: SignatureDemand | undefined;
}

/** A sealed image that is open: its metadata is authenticated, and its files can be read at any offset. */
export class EncryptedImage extends ReadableImage {
  readonly format = 'ckptfs';
  readonly #opened: Image;
  /** Excludes writers. */
  readonly #lock: StoreLock;

  private constructor(image: Image, lock: StoreLock) {
    super(sealedSource(image));
    this.#opened = image;
    this.#lock = lock;
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

  /** Describes the image and its contents. @throws CkptfsError `io` */
  describe(): ImageOutside & ImageInside {
    return { ...describeOutside(this.#image.store, this.#image.header), ...describeInside(this.#image) };
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

  protected closeSource(): void {
    this.#opened.imageKey.wipe();
    this.#opened.store.close();
    this.#lock.release();
  }

  get #image(): Image {
    // It throws when the image is closed.
    void this.source;
    return this.#opened;
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
