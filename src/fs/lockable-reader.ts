import { Errno } from '../base/errno.ts';
import type { Region } from '../base/linux/native.ts';
import type { FileInode } from '../format/manifest.ts';
import type { SourceReader } from '../image/read/image-source.ts';

/** Reads plaintext of files by a {@link SourceReader}, which is gone while the image is locked. */
export class LockableReader {
  readonly #make: () => SourceReader;
  readonly #isLocked: () => boolean;
  #reader: SourceReader | undefined;

  /** @param make needs the image key */
  constructor(make: () => SourceReader, isLocked: () => boolean) {
    this.#make = make;
    this.#isLocked = isLocked;
  }

  get isLocked(): boolean {
    return this.#isLocked();
  }

  /** As of {@link SourceReader}. @throws Errno EIO while it is locked; CkptfsError `damaged`, `io` */
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
