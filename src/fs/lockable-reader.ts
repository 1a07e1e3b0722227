import { Errno } from '../base/errno.ts';
import type { Region } from '../base/linux/native.ts';
import type { FileInode } from '../format/manifest.ts';
import type { ImageReader } from '../image/read/image-reader.ts';

/** Reads plaintext of files as an {@link ImageReader} does, which is gone while the image is locked. */
export class LockableReader {
  readonly #make: () => ImageReader;
  readonly #isLocked: () => boolean;
  #reader: ImageReader | undefined;

  /** @param make needs the image key */
  constructor(make: () => ImageReader, isLocked: () => boolean) {
    this.#make = make;
    this.#isLocked = isLocked;
  }

  get isLocked(): boolean {
    return this.#isLocked();
  }

  /** As of {@link ImageReader}. @throws Errno EIO while it is locked; CkptfsError `damaged`, `io` */
  read(file: FileInode, offset: number, length: number, out: Region, outOffset: number): number {
    if (this.#isLocked()) throw Errno.of('EIO');
    this.#reader ??= this.#make();
    return this.#reader.read(file, offset, length, out, outOffset);
  }

  /** Wipes keys, caches and buffers. It may be used again when it is not locked. */
  wipe(): void {
    this.#reader?.close();
    this.#reader = undefined;
  }
}
