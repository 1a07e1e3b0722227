import { MalformedError } from '../base/bytes.ts';

/** Tags of ASN.1 (X.690) that the structures inside a private key have. */
export const TAG = {
  integer: 0x02,
  octets: 0x04,
  object: 0x06,
  sequence: 0x30,
  context0: 0xa0,
  context1: 0xa1,
} as const;

/** Reads DER values one after the other, as views of the bytes that it was given. */
export class DerReader {
  readonly #bytes: Uint8Array;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** Returns the contents of the next value. @throws MalformedError unless it has this tag and ends inside the bytes */
  take(tag: number): Uint8Array {
    const contents = this.takeIf(tag);
    if (contents === undefined) throw new MalformedError('a DER value is missing');
    return contents;
  }

  /** Like {@link take}, for a value that may be missing: undefined says so. */
  takeIf(tag: number): Uint8Array | undefined {
    if (this.#bytes[this.#offset] !== tag) return undefined;
    this.#offset++;
    const length = this.#length();
    const start = this.#offset;
    if (length > this.#bytes.length - start) throw new MalformedError('a DER value ends early');
    this.#offset = start + length;
    return this.#bytes.subarray(start, this.#offset);
  }

  /** Returns the bytes of the next INTEGER without leading zeros. @throws MalformedError also for a negative one */
  unsigned(): Uint8Array {
    const contents = this.take(TAG.integer);
    const first = contents[0];
    if (first === undefined || first >= 0x80) throw new MalformedError('a DER integer is empty or negative');
    const start = contents.findIndex((byte) => byte !== 0);
    return start === -1 ? contents.subarray(0, 0) : contents.subarray(start);
  }

  /** @throws MalformedError when there is more */
  end(): void {
    if (this.#offset !== this.#bytes.length) throw new MalformedError('more bytes follow a DER value');
  }

  #length(): number {
    const first = this.#byte();
    if (first < 0x80) return first;
    const size = first - 0x80;
    if (size < 1 || size > 4) throw new MalformedError('a DER length is of another form');
    let length = 0;
    for (let i = 0; i < size; i++) length = length * 256 + this.#byte();
    return length;
  }

  #byte(): number {
    const byte = this.#bytes[this.#offset++];
    if (byte === undefined) throw new MalformedError('a DER value ends early');
    return byte;
  }
}
