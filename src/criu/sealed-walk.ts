import { MalformedError } from '../base/bytes.ts';
import type { Region } from '../base/linux/native.ts';
import { type BlobKey, blobAt, TRAILER_SIZE } from './blob-key.ts';

/** Bytes of the number in front of an entry. */
export const LENGTH_SIZE = 4;

/**
 * Goes through an encrypted image from its start to its end, and puts what it decrypts one after the other: the plain
 * image. That is never longer than the encrypted one, so as many bytes of room are enough.
 */
export class SealedWalk {
  /** Bytes of the plain image up to here. */
  written = 0;
  readonly #key: BlobKey;
  readonly #from: Region;
  readonly #to: Region;
  readonly #toOffset: number;
  #position = 0;
  #entries = 0;

  /** @param from the whole image @param to gets the plain one at `toOffset`, where it has room for `from.length` */
  constructor(key: BlobKey, from: Region, to: Region, toOffset: number) {
    this.#key = key;
    this.#from = from;
    this.#to = to;
    this.#toOffset = toOffset;
  }

  get remaining(): number {
    return this.#from.length - this.#position;
  }

  /** The number of entries that were decrypted. */
  get entries(): number {
    return this.#entries;
  }

  /** Takes bytes that are in clear. @throws MalformedError */
  clear(length: number): void {
    this.#need(length, 'clear part');
    this.#from.bytes.copy(this.#to.bytes, this.#toOffset + this.written, this.#position, this.#position + length);
    this.#position += length;
    this.written += length;
  }

  /** Decrypts a message with the number of its bytes in front. Returns its plain bytes. @throws MalformedError */
  entry(): Uint8Array {
    const what = `entry ${this.#entries + 1}`;
    this.#need(LENGTH_SIZE, what);
    const length = this.#from.view.getUint32(this.#position, true);
    this.clear(LENGTH_SIZE);
    const message = this.#open(length, what);
    this.#entries++;
    return message;
  }

  /** Decrypts data that an entry announced. Returns its plain bytes. @throws MalformedError */
  blob(length: number): Uint8Array {
    return this.#open(length, `data of entry ${this.#entries}`);
  }

  /** Leaves a number of the last plain bytes out. */
  drop(length: number): void {
    this.written -= length;
  }

  #open(length: number, what: string): Uint8Array {
    const at = this.#toOffset + this.written;
    if (length > 0) {
      this.#need(length + TRAILER_SIZE, what);
      const isAuthentic = this.#key.open(this.#from, blobAt(this.#position, length), this.#to, at);
      if (!isAuthentic) throw new MalformedError(`the tag of ${what} does not match`);
      this.#position += length + TRAILER_SIZE;
      this.written += length;
    }
    return this.#to.bytes.subarray(at, at + length);
  }

  #need(length: number, what: string): void {
    if (length > this.remaining) throw new MalformedError(`it ends within ${what}`);
  }
}
