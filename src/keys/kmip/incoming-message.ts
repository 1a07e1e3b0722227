import { wipe } from '../../base/wipe.ts';
import { offHeap } from '../../crypto/off-heap.ts';
import { ServerFailure } from './server-failure.ts';
import { tag } from './tags.ts';
import { ITEM_HEADER_SIZE } from './ttlv.ts';

/** Bytes of an answer at most, far above what any operation that is asked for needs. */
export const MAX_MESSAGE_SIZE = 65_536;

/** The first bytes of every answer: the tag and the type of a response, which is a structure. */
const BEGINNING = (tag.responseMessage << 8) | 0x01;

/** An answer of which a part has come, in memory outside the heap. */
export class IncomingMessage {
  readonly #header = Buffer.alloc(ITEM_HEADER_SIZE);
  #message: Buffer | undefined;
  #length = 0;

  /**
   * Takes the next bytes, of which it keeps a copy.
   * @returns the whole message, which the caller wipes, once it has all
   * @throws ServerFailure `garbage` for bytes that no answer begins with, a size that none has, and more than one
   */
  take(chunk: Buffer): Buffer | undefined {
    let taken = 0;
    if (this.#message === undefined) {
      taken = chunk.copy(this.#header, this.#length);
      this.#length += taken;
      if (this.#length < ITEM_HEADER_SIZE) return undefined;
      this.#message = offHeap(ITEM_HEADER_SIZE + this.#sizeAfterHeader());
      this.#header.copy(this.#message);
    }
    const copied = chunk.copy(this.#message, this.#length, taken);
    this.#length += copied;
    if (taken + copied < chunk.length) throw garbage('it answers more than was asked');
    return this.#length === this.#message.length ? this.#message : undefined;
  }

  wipe(): void {
    if (this.#message !== undefined) wipe(this.#message);
  }

  #sizeAfterHeader(): number {
    if (this.#header.readUInt32BE(0) !== BEGINNING) throw garbage('it does not speak KMIP');
    const size = this.#header.readUInt32BE(4);
    if (size > MAX_MESSAGE_SIZE - ITEM_HEADER_SIZE) throw garbage(`it answers ${size} bytes, which is too much`);
    return size;
  }
}

function garbage(message: string): ServerFailure {
  return new ServerFailure('garbage', message, false);
}
