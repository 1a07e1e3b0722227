import { MalformedError } from '../../base/bytes.ts';

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

  /** Reads a string that is no secret as text, one character a byte. */
  text(): string {
    return Buffer.from(this.string()).toString('latin1');
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
