import { createHash } from 'node:crypto';
import { Region } from '../base/linux/native.ts';
import type { WritableObject } from '../stores/writable-store.ts';

const PAGE_BYTES = 4096;
const BUFFER_BYTES = 262_144;
const ZEROS = Buffer.alloc(PAGE_BYTES);

/**
 * Writes one part into the file of an object, and hashes it. Pages of zeros become holes, as they are holes, or what no
 * one looks at, where the image was made.
 */
export class PartWriter {
  readonly #object: WritableObject;
  readonly #hash = createHash('sha256');
  readonly #buffer = new Region(BUFFER_BYTES);
  readonly #leavesHoles: boolean;
  #filled = 0;
  /** Where the buffer begins in the file. */
  #position: number;

  /**
   * @param position of the part in the file, a multiple of 4096
   * @param isNew whether the file has zeros there
   */
  constructor(object: WritableObject, position: number, size: number, isNew: boolean) {
    this.#object = object;
    this.#position = position;
    this.#leavesHoles = isNew || object.punch(position, size);
  }

  /** @throws CkptfsError `io` */
  write(chunk: Buffer): void {
    this.#hash.update(chunk);
    for (let at = 0; at < chunk.length; ) {
      const count = chunk.copy(this.#buffer.bytes, this.#filled, at);
      at += count;
      this.#filled += count;
      if (this.#filled === BUFFER_BYTES) this.#flush();
    }
  }

  /** Makes it durable, and returns its SHA-256 in hexadecimal digits. @throws CkptfsError `io` */
  end(): string {
    this.#flush();
    this.#object.sync();
    return this.#hash.digest('hex');
  }

  #flush(): void {
    for (let start = 0; start < this.#filled; ) {
      let end = start;
      while (end < this.#filled && !this.#isHole(end)) end = Math.min(this.#filled, end + PAGE_BYTES);
      if (end > start) this.#object.write(this.#buffer, start, end - start, this.#position + start);
      start = end;
      while (start < this.#filled && this.#isHole(start)) start = Math.min(this.#filled, start + PAGE_BYTES);
    }
    this.#position += this.#filled;
    this.#filled = 0;
  }

  #isHole(page: number): boolean {
    if (!this.#leavesHoles) return false;
    const bytes = this.#buffer.bytes.subarray(page, Math.min(this.#filled, page + PAGE_BYTES));
    return bytes.equals(ZEROS.subarray(0, bytes.length));
  }
}
