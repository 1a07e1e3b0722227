import { MalformedError } from '../../base/bytes.ts';

const MAX_NAME = 64;

/** Reads the values of SSH (RFC 4251 §5) one after the other, as views of the bytes that it was given. */
export class WireReader {
  readonly #bytes: Uint8Array;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** Returns the next bytes. @throws MalformedError when there are fewer */
  take(length: number): Uint8Array {
    if (length > this.#bytes.length - this.#offset) throw new MalformedError('a value of SSH ends early');
    const start = this.#offset;
    this.#offset += length;
    return this.#bytes.subarray(start, this.#offset);
  }

  uint32(): number {
    const bytes = this.take(4);
    return new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0);
  }

  string(): Uint8Array {
    return this.take(this.uint32());
  }

  /** Reads a name, of at most 64 printable characters of ASCII (RFC 4251 §6). @throws MalformedError for another one */
  name(): string {
    const bytes = this.string();
    const isName = bytes.length > 0 && bytes.length <= MAX_NAME && bytes.every((byte) => byte > 0x20 && byte < 0x7f);
    if (!isName) throw new MalformedError('a name of SSH is no name');
    return Buffer.from(bytes).toString('latin1');
  }

  /** Reads an mpint that is not negative, without its leading zero. @throws MalformedError also for a longer form */
  unsigned(): Uint8Array {
    const bytes = this.string();
    const [first, second] = bytes;
    if (first === undefined) return bytes;
    if (first >= 0x80) throw new MalformedError('a number of SSH is negative');
    if (first !== 0) return bytes;
    if (second === undefined || second < 0x80) throw new MalformedError('a number of SSH has a needless zero');
    return bytes.subarray(1);
  }

  rest(): Uint8Array {
    return this.take(this.#bytes.length - this.#offset);
  }

  /** @throws MalformedError when there is more */
  end(): void {
    if (this.#offset !== this.#bytes.length) throw new MalformedError('more bytes follow a value of SSH');
  }
}
