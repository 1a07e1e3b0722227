import { createHash } from 'node:crypto';
import { Region } from '../base/linux/native.ts';
import { PACKED_BLOCK_SIZE, PartUnpacker } from '../format/packed-part.ts';
import type { FilePart } from '../format/remote-index.ts';
import type { WritableObject } from '../stores/writable-store.ts';

const PAGE_BYTES = 4096;
const ZEROS = Buffer.alloc(PAGE_BYTES);

/**
 * Unpacks one part into the file of an object, and hashes it as it came. Pages of zeros become holes, as they are
 * holes, or what no one looks at, where the image was made.
 */
export class PartWriter {
  readonly #object: WritableObject;
  readonly #hash = createHash('sha256');
  readonly #block = new Region(PACKED_BLOCK_SIZE);
  readonly #unpacker: PartUnpacker;
  readonly #leavesHoles: boolean;
  /** Where the next block is in the file. */
  #position: number;

  /** @param isNew whether the file has zeros there */
  constructor(object: WritableObject, { start, length }: FilePart, isNew: boolean) {
    this.#object = object;
    this.#position = start;
    this.#leavesHoles = isNew || object.punch(start, length);
    this.#unpacker = new PartUnpacker(length, this.#block.bytes, ({ length: size }) => this.#flush(size));
  }

  /** @throws CkptfsError `io` */
  write(chunk: Buffer): void {
    this.#hash.update(chunk);
    this.#unpacker.write(chunk);
  }

  /** Makes it durable. @throws CkptfsError `io` */
  end(): { readonly digest: string; readonly isWhole: boolean } {
    this.#object.sync();
    return { digest: this.#hash.digest('hex'), isWhole: this.#unpacker.isWhole };
  }

  #flush(size: number): void {
    for (let start = 0; start < size; ) {
      let end = start;
      while (end < size && !this.#isHole(end, size)) end = Math.min(size, end + PAGE_BYTES);
      if (end > start) this.#object.write(this.#block, start, end - start, this.#position + start);
      start = end;
      while (start < size && this.#isHole(start, size)) start = Math.min(size, start + PAGE_BYTES);
    }
    this.#position += size;
  }

  #isHole(page: number, size: number): boolean {
    if (!this.#leavesHoles) return false;
    const bytes = this.#block.bytes.subarray(page, Math.min(size, page + PAGE_BYTES));
    return bytes.equals(ZEROS.subarray(0, bytes.length));
  }
}
