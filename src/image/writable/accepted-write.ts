import { Region } from '../../base/native.ts';
import { LockedPages } from '../../crypto/locked-pages.ts';
import type { WritableImage } from './writable-image.ts';

/** A write whose bytes are still where whoever asked for it put them. */
export class AcceptedWrite {
  readonly inode: number;
  readonly #offset: number;
  readonly #length: number;
  #from: Region;
  #fromOffset: number;
  #own: LockedPages | undefined;

  constructor(inode: number, offset: number, length: number, from: Region, fromOffset: number) {
    this.inode = inode;
    this.#offset = offset;
    this.#length = length;
    this.#from = from;
    this.#fromOffset = fromOffset;
  }

  /** @throws FileError, CkptfsError as {@link WritableImage.write}: it may be tried again */
  store(image: WritableImage): void {
    image.write(this.inode, this.#offset, this.#length, this.#from, this.#fromOffset);
    this.wipe();
  }

  /** Takes the bytes into memory of its own, locked as far as the system lets: where they are, others are about to be. */
  keep(): void {
    if (this.#own !== undefined) return;
    const own = new LockedPages(new ArrayBuffer(LockedPages.memoryFor(this.#length)));
    own.bytes.set(this.#from.bytes.subarray(this.#fromOffset, this.#fromOffset + this.#length));
    this.#own = own;
    this.#from = new Region(own.bytes);
    this.#fromOffset = 0;
  }

  /** It must not be used afterwards. */
  wipe(): void {
    this.#own?.release();
  }
}
